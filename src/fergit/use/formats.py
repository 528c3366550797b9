"""Suffixes of pictures and videos, and what a video's file says of its length."""

from fergit.data import images

# By suffix, for files that do not begin as they should: named like a picture, they are reported and not passed over.
PHOTOGRAPHS = (*images.SUFFIXES, *".heic .heif .j2k .pam .pfm .ras .sr .hdr".split())
FILMS = tuple(
    ".mp4 .m4v .mov .qt .avi .mkv .webm .mpg .mpeg .m2v .wmv .asf .flv .3gp .3g2 .ts .mts .m2ts .vob .ogv .mjpeg "
    ".y4m .ivf".split()
)
# Pictures that cannot be read. Cameras' own formats are TIFF files whose first picture is but a small preview.
OTHERS = tuple(".dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .pef .srw .jxl .svg .psd .exr .ico .xcf .eps .ai".split())
SOUND = (".m4a", ".m4b", ".mka", ".ogg", ".oga", ".opus", ".wma", ".mp3", ".wav", ".flac")


def promised(file, counted):
    """What a video's file says of itself: whether bytes are missing at its end, and how many seconds it shows (or 0).

    Known of MP4, QuickTime, AVI, Matroska and WebM. `counted`: the seconds by the number of frames, exact in AVI alone.
    """
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(512)
    if head.startswith(b"RIFF"):
        place, part = 0, head
        while part[:4] == b"RIFF":  # long videos have several
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
        if place + 4 >= len(head):  # what is read of the file ends before
            return 0
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
