"""Films and cameras: their frames with the time of each, and copies that last as long."""

import contextlib
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.use import formats, photographs
from fergit.use.outputs import MARK

# Read by OpenCV. A file that says to be a playlist must not make FFmpeg fetch anything.
os.environ |= {"OPENCV_FFMPEG_LOGLEVEL": "-8", "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file"}
CAMERAS = 100  # OpenCV takes higher numbers for other systems' cameras


class Film:
    """The frames of a film or a camera, one at a time, with their times.

    Attributes
    ----------
    name : str
    camera : bool
    frames : int
        As many as the film says to have, often an estimate; 0 where it does not say, as a camera.
    rate : float
        Frames a second in the mean, 25 where the film does not say.
    end : float
        Seconds at which the last frame ends, known only after it, and only of some formats; else 0.

    Raises
    ------
    FergitError
        It cannot be opened, or its frames are too large.
    """

    def __init__(self, source: str | Path | int):
        """`source`: a film's path, or a camera's number."""
        self.camera = isinstance(source, int)
        self.name, self.source, self.end = f"camera {source}" if self.camera else str(source), source, 0.0
        if self.camera and not 0 <= source < CAMERAS:
            raise FergitError(f"{self.name}: no such camera; allowed: 0 to {CAMERAS - 1}")
        if not self.camera and not Path(source).is_file():
            raise FergitError(f"{source}: no such file")
        with photographs.quiet():
            self.capture = cv2.VideoCapture(source) if self.camera else self._open(os.path.abspath(source))
        if not self.capture.isOpened():
            raise FergitError(
                f"{self.name}: no such camera, or another program has it"
                if self.camera
                else f"{self.name}: not a film that can be read"
            )
        width, height = self.capture.get(cv2.CAP_PROP_FRAME_WIDTH), self.capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if width * height > photographs.LARGEST * 1e6:
            raise FergitError(
                f"{self.name}: frames of {width:.0f}x{height:.0f} pixels; allowed: {photographs.LARGEST} million"
            )
        self.frames = 0 if self.camera else max(0, int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.rate = self.capture.get(cv2.CAP_PROP_FPS) or 25.0

    def _open(self, path):
        try:
            path.encode()
        except UnicodeEncodeError:  # OpenCV takes no such name, but the open file
            self.file = open(path, "rb")
            path = f"/dev/fd/{self.file.fileno()}"
        return cv2.VideoCapture(path, cv2.CAP_FFMPEG)

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield the seconds since the start, by the film's own time stamps, and uint8 (height, width, 3), BGR.

        Raises
        ------
        FergitError
            At the end, where the film was cut short or holds no frame, or the camera gives no more.
        """
        start, seconds, number = time.monotonic(), None, 0
        try:
            while True:
                with photographs.quiet():
                    there, frame = self.capture.read()
                if not there:
                    break
                stamp = time.monotonic() - start if self.camera else self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if seconds is None:
                    seconds = stamp if np.isfinite(stamp) else 0.0
                else:  # some formats have no stamps, or stamps that begin anew
                    seconds = stamp if stamp > seconds else seconds + 1 / self.rate
                number += 1
                yield seconds, frame
        finally:
            self.capture.release()
        if self.camera:
            raise FergitError(f"{self.name}: gives no more pictures")
        if not number:
            raise FergitError(f"{self.name}: holds no frame that can be read")
        with open(self.source, "rb") as file:
            missing, lasting = formats.promised(file, self.frames / self.rate)
        frames = self.frames if lasting else number  # other formats' numbers of frames are estimates
        if missing or (seconds + 1 / self.rate < 0.9 * lasting and number < 0.9 * frames):
            raise FergitError(f"{self.name}: cut short or damaged; it ends after {number} frames, {seconds:.1f} s")
        self.end = lasting


@contextlib.contextmanager
def write_film(path, shape, folder):
    """Yield a `Copy` for frames of a shape, an MP4 that takes its place under `path` only when all is written.

    Until then it is in `folder`, on the same disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{os.getpid()}.partial.mp4"  # OpenCV goes by the suffix, and takes no name that is not UTF-8
    try:
        writer = cv2.VideoWriter(str(partial), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), 25, shape[1::-1])
    except (cv2.error, UnicodeEncodeError):
        raise FergitError(f"{path}: cannot be written") from None
    copy = Copy(writer, shape)
    try:
        if not writer.isOpened():
            raise FergitError(f"{path}: cannot be written")
        yield copy
        writer.release()
        set_times(partial, copy.times, copy.end)
        os.replace(partial, path)
    finally:
        writer.release()
        partial.unlink(missing_ok=True)


class Copy:
    """A film that is being written; ``end`` is when its last frame ends, if that is known."""

    def __init__(self, writer, shape):
        self.writer, self.shape, self.times, self.end = writer, shape, [], 0.0

    def add(self, frame, seconds):
        """Write a frame, which lasts from so many seconds to those of the next one."""
        self.writer.write(frame if frame.shape == self.shape else cv2.resize(frame, self.shape[1::-1]))
        self.times.append(seconds)


SCALE = 10_000  # parts of a second in the copy's index: enough for five days


def set_times(path, times, end):
    """Give each frame of OpenCV's MP4 its own time, in seconds; without an end the last lasts as the one before it."""
    before = times[-1] - times[-2] if len(times) > 1 else 1 / 25
    stamps = np.array([*times, end if end > times[-1] else times[-1] + before]) - times[0]
    lasting = np.maximum(1, np.diff(np.round(stamps * SCALE).astype(np.int64)))
    with open(path, "r+b") as file:
        place, end = 0, os.fstat(file.fileno()).st_size
        while place < end:
            file.seek(place)
            head = file.read(16)
            size = int.from_bytes(head[8:16]) if head[:4] == b"\0\0\0\1" else int.from_bytes(head[:4])
            if head[4:8] == b"moov":  # comes last
                file.seek(place)
                index = _retimed(b"moov", bytearray(file.read(size)[8:]), lasting)
                file.seek(place)
                file.write(index + struct.pack(">I4s", 8 + len(MARK), b"free") + MARK)
                file.truncate()
                return
            place += max(8, size)
    raise FergitError(f"{path}: OpenCV wrote no index")


def _retimed(kind, body, lasting):
    """A box of an MP4's index, with as many ticks for each frame as `lasting` says."""
    if kind in (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"):
        body = b"".join(_retimed(name, bytearray(part), lasting) for name, part in formats.boxes(bytes(body)))
    elif kind == b"stts":
        if sum(count for count, _ in struct.iter_unpack(">II", body[8:])) != len(lasting):
            raise FergitError("the copy has lost frames")
        body = struct.pack(">II", 0, len(lasting)) + b"".join(struct.pack(">II", 1, ticks) for ticks in lasting)
    elif kind in (b"mvhd", b"mdhd"):
        body[12:20] = struct.pack(">II", SCALE, min(lasting.sum(), 2**32 - 1))
    elif kind in (b"tkhd", b"elst"):
        place = 20 if kind == b"tkhd" else 8
        body[place : place + 4] = struct.pack(">I", min(lasting.sum(), 2**32 - 1))
    return struct.pack(">I", 8 + len(body)) + kind + bytes(body)
