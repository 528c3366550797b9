"""What a file is, how large its picture and how long its film, by its own bytes and without a decoder."""

import re
import struct

from fergit.data.images import image_size  # JPEG, PNG and WebP

# By suffix, for files that do not begin as they should: named like a picture, they are reported and not passed over.
PHOTOGRAPHS = tuple(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .avif .heic .heif .jp2 .j2k .pbm .pgm .ppm .pnm .pam "
    ".pfm .ras .sr .hdr".split()
)
FILMS = tuple(
    ".mp4 .m4v .mov .qt .avi .mkv .webm .mpg .mpeg .m2v .wmv .asf .flv .3gp .3g2 .ts .mts .m2ts .vob .ogv .mjpeg "
    ".y4m .ivf".split()
)
# Pictures that cannot be read. Cameras' own formats are TIFF files whose first picture is but a small preview.
OTHERS = tuple(".dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .pef .srw .jxl .svg .psd .exr .ico .xcf .eps .ai".split())
SOUND = (".m4a", ".m4b", ".mka", ".ogg", ".oga", ".opus", ".wma", ".mp3", ".wav", ".flac")

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
    return None


def size(data):
    """(width, height) of a picture's file, by its header alone; None where that is damaged or of no known format."""
    name = kind(data[:512])
    try:
        return image_size(data) if name in ("JPEG", "PNG", "WebP") else SIZES[name](data) if name in SIZES else None
    except (struct.error, IndexError, AttributeError, OverflowError, ValueError):
        return None


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
            form = {3: "H", 4: "I", 16: "Q"}[form] if form in (3, 4, 16) else "I"
            value = start + (12 if big else 8)
            (found[tag],) = struct.unpack(order + form, data[value : value + struct.calcsize(form)])
    return (
        (max(found[256], found.get(322, 0)), max(found[257], found.get(323, 0))) if {256, 257} <= set(found) else None
    )


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
        return tuple(int(re.search(rb"\n%s (\d{1,9})" % name, data[:2048])[1]) for name in (b"WIDTH", b"HEIGHT"))
    space = rb"(?:\s|#[^\n]*\n)+"
    return tuple(map(int, re.match(rb"P.%s(\d{1,9})%s(\d{1,9})\s" % (space, space), data[:2048]).groups()))


def _hdr(data):
    height, width = re.search(rb"\n-Y (\d{1,9}) \+X (\d{1,9})\n", data[:4096]).groups()
    return int(width), int(height)


SIZES = {
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


def promised(file, counted):
    """What a film's file says of itself: whether bytes are missing at its end, and how many seconds it shows (or 0).

    Known of MP4, QuickTime, AVI, Matroska and WebM. `counted`: the seconds by the number of frames, exact in AVI alone.
    """
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(512)
    if head.startswith(b"RIFF"):
        place, part = 0, head
        while part[:4] == b"RIFF":  # long films have several
            place += 8 + int.from_bytes(part[4:8], "little")
            file.seek(place)
            part = file.read(8)
        return place > end + 1024, counted  # some recorders are a few bytes out
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _matroska_end(head) > end, 0
    if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide"):
        return False, 0
    place, lasting = 0, 0
    while place + 16 <= end:
        file.seek(place)
        head = file.read(16)
        size = int.from_bytes(head[:4]) or end - place
        size = int.from_bytes(head[8:16]) if size == 1 else size
        if place + size > end and head[4:8] in (b"mdat", b"moov", b"moof"):
            return True, lasting
        if head[4:8] == b"moov":
            file.seek(place + 8)
            lasting = _shown(file.read(size - 8))
        place += max(8, size)
    return False, lasting


def _matroska_end(head):
    """Where its header and then its one segment end; 0 where that is unknown, as in a stream."""
    place = 0
    for _ in range(2):  # four bytes of name, then a size of one to eight bytes
        length = 9 - head[place + 4].bit_length()
        most = (1 << 7 * length) - 1
        size = int.from_bytes(head[place + 4 : place + 4 + length]) & most
        if size == most:
            return 0
        place += 4 + length + size
    return place


def boxes(data):
    """The boxes that a box of an MP4 holds: its name and its content, one after the other."""
    place = 0
    while place + 8 <= len(data):
        size = int.from_bytes(data[place : place + 4])
        yield data[place + 4 : place + 8], data[place + 8 : place + size]
        place += max(8, size)


def _shown(index):
    """Seconds that an MP4's picture lasts, after cuts that its list of edits makes; 0 where it does not say."""
    try:
        (scale,) = (_number(body, 12, 20, 4) for name, body in boxes(index) if name == b"mvhd")
        for name, track in boxes(index):
            parts = dict(boxes(track)) if name == b"trak" else {}
            if parts and dict(boxes(parts[b"mdia"]))[b"hdlr"][8:12] == b"vide":
                length = _number(parts[b"tkhd"], 20, 28, 8)
                return 0 if length in (2**32 - 1, 2**64 - 1) else length / scale
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        pass
    return 0


def _number(body, place, later, wide):
    """A number in a box: four bytes at one place, or in the box's second version `wide` ones at a later one."""
    return int.from_bytes(body[later : later + wide] if body[0] == 1 else body[place : place + 4])
