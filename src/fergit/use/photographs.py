"""Photographs and films, read whatever their format, size and depth."""

import contextlib
import os
from pathlib import Path

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.data.images import _size  # private there only because committed results depend on that file's bytes

PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
FILMS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".wmv")
LARGEST = 250  # million pixels; 750 MB once decoded
LONGEST = 65500  # pixels of a side: what libjpeg reads and writes
COLORS = {"gray": 2, "bgr": 3, "rgb": 3}  # with the number of dimensions


def is_film(path):
    """Whether a file's name is that of a film."""
    return Path(path).suffix.lower() in FILMS


def find(folder):
    """The photographs and films in a folder and the folders in it, sorted; hidden ones are left out.

    Raises
    ------
    FergitError
        There are none.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PHOTOGRAPHS + FILMS and file.is_file())
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    if not files:
        raise FergitError(f"{folder}: holds no photograph or film; looked for {', '.join(PHOTOGRAPHS + FILMS)}")
    return files


def read(path):
    """Read a photograph, turned as the camera noted (EXIF).

    Parameters
    ----------
    path : path
        JPEG, PNG, WebP, BMP or TIFF, whatever its suffix.

    Returns
    -------
    uint8 (height, width, 3)
        Blue, green, red; 16 bits become 8.

    Raises
    ------
    FergitError
        Not such a file, cut short, or too large.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FergitError(f"{path}: {error.strerror or error}") from None
    return decode(data, path)


def decode(data, name):
    """Decode a photograph's file: as `read`, of bytes that the messages call `name`."""
    size = _size(data)
    # The other formats' headers are not looked at, and OpenCV has a limit of its own.
    if size is None and data.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF")):
        raise FergitError(f"{name}: the file is damaged or cut short")
    if size and size[0] * size[1] > LARGEST * 1e6:
        raise FergitError(f"{name}: is {size[0]}x{size[1]} pixels; allowed: {LARGEST} million")
    image = None
    if data:
        with quiet(), contextlib.suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise FergitError(f"{name}: not a photograph that can be read; allowed: JPEG, PNG, WebP, BMP and TIFF")
    if max(image.shape) > LONGEST:
        raise FergitError(f"{name}: is {image.shape[1]}x{image.shape[0]} pixels; allowed: {LONGEST} a side")
    return image


def to_gray(image, color):
    """An array as 8-bit gray.

    Parameters
    ----------
    image : uint8 or uint16 (height, width) or (height, width, 3)
    color : "gray", "bgr" or "rgb"
        What the array holds; the first has no third dimension.

    Returns
    -------
    uint8 (height, width)

    Raises
    ------
    FergitError
        The array is something else.
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


def drawn(count, seed=0):
    """Pictures of drawn people before a wall, for where there are no photographs.

    Returns
    -------
    list of (str, uint8 (300, 400, 3))
        The expression, and the picture of one face of 150 pixels; blue, green, red.
    """
    from fergit.data.synthetic import CLASSES, draw_faces

    pictures = []
    for number, (face, label) in enumerate(zip(*draw_faces(count, seed)[:2], strict=True)):
        wall = np.full((300, 400), 110 + 9 * (number % 10), np.uint8)
        x = 40 + 37 * number % 170
        wall[75:225, x : x + 150] = cv2.resize(face, (150, 150), interpolation=cv2.INTER_CUBIC)
        pictures.append((CLASSES[label], cv2.cvtColor(wall, cv2.COLOR_GRAY2BGR)))
    return pictures


class Film:
    """The frames of a film or a camera, one at a time.

    Attributes
    ----------
    name : str
    frames : int
        As many as the film says to have; 0 where it does not say, as a camera.
    rate : float
        Frames a second, 25 where the film does not say.

    Raises
    ------
    FergitError
        It cannot be opened.
    """

    def __init__(self, source):
        """`source`: a film's path, or a camera's number."""
        self.camera = isinstance(source, int)
        self.name = f"camera {source}" if self.camera else str(source)
        if not self.camera and not Path(source).is_file():
            raise FergitError(f"{source}: no such file")
        os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
        with quiet():
            self.capture = cv2.VideoCapture(source if self.camera else str(source))
        if not self.capture.isOpened():
            raise FergitError(
                f"{self.name}: no such camera, or another program has it"
                if self.camera
                else f"{self.name}: not a film that can be read"
            )
        self.frames = 0 if self.camera else max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.rate = self.capture.get(cv2.CAP_PROP_FPS) or 25.0

    def __iter__(self):
        """Yield uint8 (height, width, 3), blue, green, red.

        Raises
        ------
        FergitError
            At the end, where a tenth or more of the film's frames are missing (the count is an estimate in some
            formats).
        """
        read = 0
        try:
            while True:
                with quiet():
                    there, frame = self.capture.read()
                if not there:
                    break
                read += 1
                yield frame
        finally:
            self.capture.release()
        if read < 0.9 * self.frames or not read:
            raise FergitError(f"{self.name}: ends after {read} of {self.frames} frames; it is damaged or cut short")


@contextlib.contextmanager
def quiet():
    """Drop what OpenCV's decoders write to the process's standard error past Python."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
