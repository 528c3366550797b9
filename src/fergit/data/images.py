"""Image files, decoded to gray faces of 48x48 pixels."""

import contextlib
import os
import sys
import threading

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.core.faces import SIDE
from fergit.data import headers
from fergit.data.notes import such_as
from fergit.data.parallel import ordered_map

SUFFIXES = tuple(".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .avif .jp2 .pgm .ppm .pbm .pnm".split())
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
    size = headers.size(data)  # of the header, so that an image of absurd size costs nothing
    if size is None:
        raise FergitError(f"{name}: not an image of a known format, or cut short or damaged")
    if not (SMALLEST <= min(size) and max(size) <= LARGEST):
        raise FergitError(f"{name}: is {size[0]}x{size[1]} pixels; allowed: {SMALLEST} to {LARGEST} in both directions")
    try:
        with quiet():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        image = None
    if image is None:
        raise FergitError(f"{name}: cannot be decoded; the file is damaged, or of a kind that OpenCV does not read")
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


class _Silence:
    """How many threads want the process's standard error dropped; the first redirects it, the last brings it back."""

    lock, wanted, stderr = threading.Lock(), 0, None

    @classmethod
    def end(cls):
        """In a forked process, where the threads that wanted it are not."""
        cls.lock = threading.Lock()
        if cls.wanted:
            cls.wanted = 0
            os.dup2(cls.stderr, 2)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Silence.end)


@contextlib.contextmanager
def quiet():
    """Drop what OpenCV's decoders write to the process's standard error past Python."""
    if sys.stderr is None:  # closed: 2 may be another file's number
        yield
        return
    with _Silence.lock:
        if not _Silence.wanted:
            _Silence.stderr = os.dup(2)
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 2)
        _Silence.wanted += 1
    try:
        yield
    finally:
        with _Silence.lock:
            _Silence.wanted -= 1
            if not _Silence.wanted:
                os.dup2(_Silence.stderr, 2)
                os.close(_Silence.stderr)
