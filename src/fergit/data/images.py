"""Image files, decoded to gray faces of 48x48 pixels."""

import io
import struct
import zlib

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import SIDE
from fergit.data.notes import such_as
from fergit.data.parallel import ordered_map

SUFFIXES = tuple(".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .avif .jp2 .pgm .ppm .pbm .pnm".split())
OTHERS = ("AVIF", "BMP", "DIB", "GIF", "JPEG2000", "PPM", "TIFF")  # Pillow's names of what else OpenCV reads
SMALLEST, LARGEST = 8, 8192  # pixels a side: less shows no face, more is no photograph of one


def is_image(name):
    """Whether a file's name is that of an image."""
    return name.lower().endswith(SUFFIXES)


def decode(data, name):
    """Decode an image file to gray and resize it to 48x48: uint8 (48, 48); see `decode_gray` and `resize`."""
    return resize(decode_gray(data, name))


def resize(gray):
    """Resize an image to 48x48.

    It is averaged over areas (INTER_AREA) and, where not square, stretched: our choice, the paper says nothing of it.
    """
    return gray if gray.shape == (SIDE, SIDE) else cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def decode_gray(data, name):
    """Decode an image file, whatever its suffix, to gray, uint8 (height, width). An error calls it by its `name`.

    Rotations noted by the camera (EXIF) are applied; colour, palette, alpha and 16 bits become 8 bits of gray.
    """
    size = image_size(data) or _other_size(data)  # of the header, so that an image of absurd size costs nothing
    if size is None:
        raise FergitError(f"{name}: not an image of a known format, or cut short or damaged")
    if not (SMALLEST <= min(size) and max(size) <= LARGEST):
        raise FergitError(f"{name}: is {size[0]}x{size[1]} pixels; allowed: {SMALLEST} to {LARGEST} in both directions")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        image = None
    if image is None:
        raise FergitError(f"{name}: cannot be decoded, the file is damaged")
    return image


def decode_all(archive, names):
    """Decode these members of an archive over all cores.

    Returns
    -------
    images : uint8 (n, 48, 48)
        In the order of `names`.
    resized : list of str
        A sentence on those that had another size; empty without any.
    """

    def read(file):
        gray = decode_gray(file[1], f"{archive.name}, {file[0]}")
        return file[0], (resize(gray), gray.shape)

    decoded = dict(ordered_map(read, archive.read_all(names), ahead=16))
    odd = [name for name in names if decoded[name][1] != (SIDE, SIDE)]
    said = such_as(f"images not of {SIDE}x{SIDE} pixels, resized", odd)
    return np.stack([decoded[name][0] for name in names]), said


def image_size(data):
    """(width, height) from a JPEG's, PNG's or WebP's header; None where it is none of these or its end is missing.

    OpenCV fills the lost part of a file that was cut short with gray and calls it a success, hence the look at the end.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            return _png_size(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp_size(data) if struct.unpack("<I", data[4:8])[0] + 8 <= len(data) else None
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
    except (struct.error, IndexError):
        pass
    return None


def _other_size(data):
    from PIL import Image  # here: what the app needs has no Pillow, and no such image

    Image.MAX_IMAGE_PIXELS = None  # our own limit is smaller
    try:
        with Image.open(io.BytesIO(data), formats=OTHERS) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, struct.error, OverflowError):
        return None


def _png_size(data):
    """Also None where a chunk is damaged: libpng would tell of it in a line of its own, without the file's name."""
    position, kind = 8, b""
    while kind != b"IEND":
        (length,) = struct.unpack(">I", data[position : position + 4])
        kind, end = data[position + 4 : position + 8], position + 8 + length
        (checksum,) = struct.unpack(">I", data[end : end + 4])
        if kind[:1].isupper() and checksum != zlib.crc32(memoryview(data)[position + 4 : end]):
            return None
        position = end + 4
    return struct.unpack(">II", data[16:24])


def _jpeg_size(data):
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
    return None


def _webp_size(data):
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None
