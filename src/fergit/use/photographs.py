"""Photographs, read whatever their format, size and depth; and what a folder holds of them and of videos."""

import contextlib
import os
import stat
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.data import headers
from fergit.data.images import quiet
from fergit.use import formats

LARGEST = 250  # million pixels; 750 MB once decoded
LONGEST = 65500  # pixels of a side: what libjpeg reads and writes
FILE = 2  # GiB of a file
COLORS = {"gray": 2, "bgr": 3, "rgb": 3}  # with the number of dimensions
ALLOWED = "JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF, JPEG 2000, PNM, PFM, Sun raster, HDR and, with pillow-heif, HEIC"


def is_film(path: str | Path) -> bool:
    """Whether a file is a video, by its first bytes, or where these say nothing by its name."""
    kind, suffix = _kind(path), Path(path).suffix.lower()
    return suffix not in formats.OTHERS and (kind == "film" if kind else suffix in formats.FILMS)


def find(folder: Path, refuse) -> tuple[list[Path], Counter]:
    """The photographs and videos in a folder and the folders in it, linked ones too, and what else lies there.

    Returns the sorted files that begin as a picture or are named like one, without hidden ones and each folder's once,
    and {suffix: number} of all others. `refuse` takes a FergitError for each folder that cannot be opened.
    """
    files, others, seen = [], Counter(), set()

    def report(error):
        refuse(FergitError(f"{error.filename}: {error.strerror}"))

    for path, folders, names in os.walk(folder, onerror=report, followlinks=True):
        if (place := os.path.realpath(path)) in seen:  # by a link, which may even lead round in circles
            folders.clear()
            continue
        seen.add(place)
        visible = (name for name in folders if name[0] != ".")
        folders[:] = sorted(visible, key=lambda name: (os.path.islink(os.path.join(path, name)), name))
        for name in names:
            file = Path(path, name)
            if name.startswith("."):
                continue
            if _is_picture(file):
                files.append(file)
            else:
                kind = file.suffix.lower() or "without suffix"
                others[kind if os.path.isfile(file) else "broken link" if os.path.islink(file) else "no file"] += 1
    return sorted(files), others


def _is_picture(file):
    suffix = file.suffix.lower()
    named = suffix in formats.PHOTOGRAPHS + formats.FILMS + formats.OTHERS
    return os.path.isfile(file) and suffix not in formats.SOUND and (named or _kind(file) is not None)


def _kind(path):
    """What the first bytes of a file say that it is; None where they say nothing, or cannot be read."""
    with contextlib.suppress(OSError):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return headers.kind(file.read(512))


def read(path: str | Path) -> np.ndarray:
    """Read a photograph of a format of `ALLOWED`, turned as the camera noted (EXIF): uint8 (height, width, 3), BGR.

    16 bits become 8, floats of 0 to 1 too. FergitError where it is no such file, cut short, or too large.
    """
    if Path(path).suffix.lower() in formats.OTHERS:
        raise FergitError(f"{path}: such files cannot be read; save the picture as JPEG or PNG")
    try:
        with open(path, "rb") as file:
            about = os.fstat(file.fileno())
            if stat.S_ISREG(about.st_mode) and about.st_size > FILE * 2**30:
                raise FergitError(f"{path}: has {about.st_size / 2**30:.1f} GiB; allowed: {FILE}")
            if stat.S_ISCHR(about.st_mode):
                raise FergitError(f"{path}: is a device and no file")
            data = file.read(512)
            if headers.kind(data) not in (None, "film"):
                data += file.read(2**16)
                width, height = headers.size(data) or (0, 0)
                if width * height <= LARGEST * 1e6:  # else it is refused by its header
                    data += file.read(FILE * 2**30 - len(data))
    except OSError as error:
        raise FergitError(f"{path}: {error.strerror or error}") from None
    except MemoryError:
        raise FergitError(f"{path}: is too large for the memory") from None
    return decode(data, path)


def decode(data: bytes, name: str | Path, largest: float = LARGEST) -> np.ndarray:
    """Decode a photograph's file of at most `largest` million pixels: as `read`, of bytes that messages call `name`."""
    if not data:
        raise FergitError(f"{name}: is empty")
    kind, size = headers.kind(data[:512]), headers.size(data)
    if kind in (None, "film"):
        raise FergitError(f"{name}: not a photograph that can be read; allowed: {ALLOWED}")
    if size is None:
        raise FergitError(f"{name}: the file is damaged or cut short")
    if size[0] * size[1] > largest * 1e6:
        raise FergitError(f"{name}: is {size[0]}x{size[1]} pixels; allowed: {largest:g} million")
    if max(size) > LONGEST:
        raise FergitError(f"{name}: is {size[0]}x{size[1]} pixels; allowed: {LONGEST} a side")
    image = _heic(data, name) if kind == "HEIC" else None
    try:
        if image is None:
            with quiet():
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if image is None:
            raise FergitError(f"{name}: cannot be decoded; the file is damaged, or of a kind that OpenCV does not read")
        if image.dtype == np.uint16:
            image = (image // 257).astype(np.uint8)
        elif image.dtype != np.uint8:
            if image.dtype.kind != "f":
                raise FergitError(
                    f"{name}: has numbers of {image.dtype}; allowed: 8 or 16 bits without sign, or floats"
                )
            image = (np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    except (cv2.error, MemoryError) as error:
        why = "is too large for the memory" if isinstance(error, MemoryError) else "cannot be decoded"
        raise FergitError(f"{name}: {why}") from None
    return image


def _heic(data, name):
    """A HEIC photograph, blue, green, red, by the optional package pillow-heif."""
    try:
        import pillow_heif
    except ImportError:
        raise FergitError(f"{name}: is HEIC; `pip install pillow-heif` makes it readable") from None
    try:
        heif = pillow_heif.open_heif(data, convert_hdr_to_8bit=True, bgr_mode=True)
        return np.ascontiguousarray(np.asarray(heif)[:, :, :3])
    except Exception as error:  # whatever that package raises
        raise FergitError(f"{name}: cannot be decoded ({error})") from None


def to_gray(image: np.ndarray, color: str) -> np.ndarray:
    """An array of uint8 or uint16, (height, width) where `color` is "gray", else (height, width, 3), as 8-bit gray.

    FergitError where it is something else.
    """
    if color not in COLORS:
        raise FergitError(f"image: color is {color!r}; say which of {', '.join(COLORS)} the array holds")
    wanted = "(height, width)" if color == "gray" else "(height, width, 3)"
    if not isinstance(image, np.ndarray) or image.dtype not in (np.uint8, np.uint16):
        found = f"of {image.dtype}" if isinstance(image, np.ndarray) else f"a {type(image).__name__}"
        raise FergitError(f"image: is {found}; it must be a NumPy array of uint8 or uint16")
    if image.ndim != COLORS[color] or image.shape[2:] not in ((), (3,)) or 0 in image.shape:
        raise FergitError(f"image: has the shape {image.shape}; with color={color!r} it must be {wanted}")
    if image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)
    image = np.ascontiguousarray(image)
    if color == "gray":
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY if color == "bgr" else cv2.COLOR_RGB2GRAY)
