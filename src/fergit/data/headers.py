"""What a file is, and how large its picture, by its own bytes and without a decoder."""

import re
import struct
import zlib

AVIF, HEIC = {b"avif", b"avis"}, {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
MAGIC = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "PFM": (b"PF\n", b"Pf\n"),
    "Sun raster": (b"\x59\xa6\x6a\x95",),
    "HDR": (b"#?RADIANCE", b"#?RGBE"),
    "film": (
        *(b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FLV\x01", b"OggS", b"DKIF", b"YUV4MPEG2"),
        *(b"\0\0\x01\xba", b"\0\0\x01\xb3"),
    ),
}


def kind(head):
    """The format that a file's first 512 bytes show: "JPEG", "film" and so on; None where it is no picture."""
    if head[:4] == b"RIFF":
        return {b"WEBP": "WebP", b"AVI ": "film"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        length = min(max(16, int.from_bytes(head[:4])), len(head))
        brands = {head[place : place + 4] for place in (8, *range(16, length, 4))}
        return "AVIF" if brands & AVIF else "HEIC" if brands & HEIC else "film"
    if head[4:8] in (b"moov", b"mdat", b"wide"):  # QuickTime of old
        return "film"
    if any(head[place : place + 377 : 188] == b"GGG" for place in (0, 4)):  # MPEG's transport streams
        return "film"
    if head[:2] == b"BM" and head[14:18] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x38\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return "BMP"
    if re.match(rb"P[1-6]\s+[\d#]|P7\n", head):
        return "PNM"
    for name, starts in MAGIC.items():
        if head.startswith(starts):
            return name


def size(data):
    """(width, height) of a picture's file, by its header; None where that is damaged or of no known format.

    JPEG, PNG and WebP must have their end, too: OpenCV fills what was cut off with gray and calls it a success.
    """
    try:
        name = kind(data[:512])
        return SIZES[name](data) if name in SIZES else None
    except (struct.error, LookupError, AttributeError, OverflowError, TypeError, ValueError):
        return None


def _png(data):
    """None where a chunk is damaged, too: libpng would tell of it in a line of its own, without the file's name."""
    if data[12:16] != b"IHDR":
        return None
    position, kind = 8, b""
    while kind != b"IEND":
        (length,) = struct.unpack(">I", data[position : position + 4])
        kind, end = data[position + 4 : position + 8], position + 8 + length
        (checksum,) = struct.unpack(">I", data[end : end + 4])
        if kind[:1].isupper() and checksum != zlib.crc32(memoryview(data)[position + 4 : end]):
            return None
        position = end + 4
    return struct.unpack(">II", data[16:24])


def _jpeg(data):
    position = 2
    while data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        length, height, width = struct.unpack(">HxHH", data[position + 2 : position + 9])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, of any coding
            # The end marker, searched for from the back: a thumbnail before this place has one, too.
            return (width, height) if data.rfind(b"\xff\xd9", position) > 0 else None
        position += 2 + length


def _webp(data):
    if struct.unpack("<I", data[4:8])[0] + 8 > len(data):
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF


def _bmp(data):
    if data[14] == 12:
        return struct.unpack("<HH", data[18:22])
    width, height = struct.unpack("<ii", data[18:26])
    return abs(width), abs(height)


def _tiff(data):
    """Of the first picture in it, or of the tiles that it is decoded by, if these are larger."""
    order, big = "<" if data[:2] == b"II" else ">", 43 in data[2:4]
    place = struct.unpack(order + "Q", data[8:16])[0] if big else struct.unpack(order + "I", data[4:8])[0]
    count, entry, head = ("Q", 20, 8) if big else ("H", 12, 2)
    (number,) = struct.unpack(order + count, data[place : place + head])
    found = {}
    for start in range(place + head, place + head + entry * min(number, 4096), entry):
        tag, form = struct.unpack(order + "HH", data[start : start + 4])
        if tag in (256, 257, 322, 323):  # width, height, and those of a tile
            form = {3: "H", 16: "Q"}.get(form, "I")
            value = start + (12 if big else 8)
            (found[tag],) = struct.unpack(order + form, data[value : value + struct.calcsize(form)])
    return max(found[256], found.get(322, 0)), max(found[257], found.get(323, 0))


def _jpeg2000(data):
    place = data.index(b"\xff\x4f\xff\x51") + 8
    right, bottom, left, top = struct.unpack(">4I", data[place : place + 16])
    return right - left, bottom - top


def _heif(data):
    """The largest of the pictures that it is made of."""
    sizes = [struct.unpack(">II", match[1]) for match in re.finditer(rb"ispe\0{4}(.{8})", data, re.DOTALL)]
    return max(sizes, key=lambda one: one[0] * one[1])


def _pnm(data):
    if data[:2] == b"P7":
        return tuple(int(re.search(rb"\n%s\s+(\d{1,9})" % name, data[:2048])[1]) for name in (b"WIDTH", b"HEIGHT"))
    space = rb"(?:\s|#[^\n]*\n)+"
    return tuple(map(int, re.match(rb"P.%s(\d{1,9})%s(\d{1,9})\s" % (space, space), data[:2048]).groups()))


def _hdr(data):
    height, width = re.search(rb"\n-Y (\d{1,9}) \+X (\d{1,9})\n", data[:4096]).groups()
    return int(width), int(height)


SIZES = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "BMP": _bmp,
    "GIF": lambda data: struct.unpack("<HH", data[6:10]),
    "TIFF": _tiff,
    "JPEG 2000": _jpeg2000,
    "AVIF": _heif,
    "HEIC": _heif,
    "PNM": _pnm,
    "PFM": _pnm,
    "Sun raster": lambda data: struct.unpack(">II", data[4:12]),
    "HDR": _hdr,
}
