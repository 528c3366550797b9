"""Films and cameras: their frames with the time of each, and copies that last as long."""

import base64
import contextlib
import http.client
import os
import re
import struct
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fergit.core.errors import FergitError
from fergit.data.images import quiet
from fergit.use import formats, photographs
from fergit.use.outputs import MARK

PROTOCOLS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"  # read by OpenCV whenever it opens something
# A file that says to be a playlist must not make FFmpeg fetch anything, and an address must not make it read files.
os.environ |= {"OPENCV_FFMPEG_LOGLEVEL": "-8", PROTOCOLS: "protocol_whitelist;file"}
NETWORK = "protocol_whitelist;rtsp,rtsps,rtp,srtp,http,https,tcp,udp,tls,crypto|rtsp_transport;tcp"
ADDRESS = re.compile(r"(rtsps?|https?)://([^/@]*@)?[^/@]+", re.IGNORECASE)
CAMERAS = 100  # OpenCV takes higher numbers for other systems' cameras
TIMEOUT = 10  # seconds that an address may take to answer, and then from frame to frame
ROUNDED = 0.001  # seconds by which a time stamp may be wrong: Matroska has whole milliseconds
WAITS = (1, 2, 4, 8, 16)  # seconds before each try to connect again


def without_password(source: str | Path) -> str:
    """An address as it may be shown: without the user and the password that it may have."""
    hidden = re.sub(r"(?i)([?&;/_]\w*?(?:pass|pwd|psw)\w*=)[^?&;#]*", r"\1...", str(source))
    return re.sub("//[^/]*@", "//", hidden)


class Film:
    """The frames of a video, a camera or an address, one at a time, with their numbers and times.

    Attributes
    ----------
    name : str
        Without the password that an address may have.
    live : bool
        It has no end of its own, as a camera.
    frames : int
        As many as the video says to have, often an estimate; 0 where it does not say, as a camera.
    rate : float
        Frames a second in the mean, 25 where the video does not say.
    end : float
        When the last frame ends, in seconds; 0 until then, or if the format does not say.

    Raises
    ------
    FergitError
        It cannot be opened, or its frames are too large.
    """

    def __init__(self, source: str | Path | int, every: int = 1, fps: float = 0):
        """Open a film.

        Parameters
        ----------
        source : Path, str or int
            A file, an address (rtsp, rtsps, http or https), or a camera's number.
        every : int
            Only the first of every so many frames is given.
        fps : float
            At most so many frames a second are given; 0 for all.
        """
        self.source, self.every, self.fps, self.end = source, every, fps, 0.0
        if isinstance(source, int):
            self.name, self.problem = f"camera {source}", "no such camera, or another program has it"
            if not 0 <= source < CAMERAS:
                raise FergitError(f"{self.name}: no such camera; allowed: 0 to {CAMERAS - 1}")
        elif isinstance(source, str):
            self.name, self.problem = without_password(source), "does not answer, or sends no video"
            if not ADDRESS.match(source):
                raise FergitError(f"{self.name}: no address; it must begin with rtsp://, rtsps://, http:// or https://")
        else:
            try:
                size = source.stat().st_size if source.is_file() else None
            except OSError as error:
                raise FergitError(f"{source}: {error.strerror}") from None
            if size is None:
                raise FergitError(f"{source}: no such file")
            self.name, self.problem = str(source), "not a video that can be read" if size else "is empty"
        if not self._open():
            raise FergitError(f"{self.name}: {self.problem}")
        width, height = self.capture.get(cv2.CAP_PROP_FRAME_WIDTH), self.capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if width * height > photographs.LARGEST * 1e6:
            self.capture.release()
            raise FergitError(
                f"{self.name}: frames of {width:.0f}x{height:.0f} pixels; allowed: {photographs.LARGEST} million"
            )
        frames = 0 if isinstance(source, int) else self.capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = int(frames) if frames > 0 else 0
        self.live = not isinstance(source, Path) and not self.frames and not self._is_sent_whole()
        self.rate = self.capture.get(cv2.CAP_PROP_FPS) or 25.0

    def _is_sent_whole(self):
        """Whether a web server says how long a video's file is: not of a camera, and a playlist's length is another."""
        address = urllib.parse.urlsplit(str(self.source))
        if address.scheme.lower() not in ("http", "https") or address.path.lower().endswith((".m3u8", ".mpd")):
            return False
        without_user = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
        request = urllib.request.Request(without_user, method="HEAD")
        if address.username is not None:
            both = urllib.parse.unquote(f"{address.username}:{address.password or ''}").encode()
            # Not for another server, should this one lead there.
            request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(both).decode()}")
        with (
            contextlib.suppress(OSError, ValueError, http.client.HTTPException),
            urllib.request.urlopen(request, timeout=TIMEOUT) as answer,
        ):
            kind = answer.headers.get("Content-Type", "").lower()
            whole = int(answer.headers.get("Content-Length", 0)) > 0
            return whole and not kind.startswith(("multipart/", "text/")) and not re.search("mpegurl|dash", kind)
        return False

    def _open(self):
        """Whether it could be opened, for the first time or once more."""
        with quiet():
            if isinstance(self.source, int):
                self.capture = cv2.VideoCapture(self.source)
            elif isinstance(self.source, str):
                limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
                limits = [value for limit in limits for value in (limit, 1000 * TIMEOUT)]
                before, os.environ[PROTOCOLS] = os.environ[PROTOCOLS], NETWORK
                try:
                    self.capture = cv2.VideoCapture(self.source, cv2.CAP_FFMPEG, limits)
                finally:
                    os.environ[PROTOCOLS] = before
            else:
                path = os.path.abspath(self.source)
                try:
                    path.encode()
                    self.capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
                except UnicodeEncodeError:  # OpenCV takes no such name, but the open file
                    with open(path, "rb") as file:
                        self.capture = cv2.VideoCapture(f"/dev/fd/{file.fileno()}", cv2.CAP_FFMPEG)
            return self.capture.isOpened()

    def _grab(self):
        """Whether there is another frame; an address that ends is tried again."""
        with quiet():
            if self.capture.grab():
                return True
        for seconds in WAITS if self.live and isinstance(self.source, str) else ():
            time.sleep(seconds)
            with quiet():
                if self._open() and self.capture.grab():
                    return True
        return False

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        """Yield a frame's number, from 0; its seconds since the start, by the video's own time stamps; and its picture.

        The picture is uint8 (height, width, 3), BGR.

        Raises
        ------
        FergitError
            At the end, where the video was cut short or holds no frame, or a camera or an address gives no more.
        """
        start, seconds, number = time.monotonic(), None, 0
        try:
            while self._grab():
                stamp = time.monotonic() - start if self.live else self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if seconds is None:
                    due = seconds = stamp if np.isfinite(stamp) else 0.0
                else:  # some formats have no stamps, or stamps that begin anew
                    seconds = stamp if stamp > seconds else seconds + 1 / self.rate
                if number % self.every == 0 and seconds >= due - ROUNDED:
                    due = max(due, seconds - 1 / self.fps) + 1 / self.fps if self.fps else seconds
                    with quiet():
                        there, frame = self.capture.retrieve()
                    if there:
                        yield number, seconds, frame
                number += 1
        finally:
            self.capture.release()
        if self.live:
            raise FergitError(f"{self.name}: gives no more pictures")
        if not number:
            raise FergitError(f"{self.name}: holds no frame that can be read")
        missing, lasting = False, self.frames / self.rate
        if isinstance(self.source, Path):
            with open(self.source, "rb") as file:
                missing, lasting = formats.promised(file, lasting)
        if missing or (seconds + 1 / self.rate < 0.9 * lasting and number < 0.9 * self.frames):
            raise FergitError(f"{self.name}: cut short or damaged; it ends after {number} frames, {seconds:.1f} s")
        self.end = lasting


@contextlib.contextmanager
def write_film(path, shape, folder):
    """Yield a `Copy` for frames of a shape, an MP4 that takes its place under `path` only when all is written.

    Until then it is in `folder`, on the same disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{os.getpid()}.partial.mp4"  # OpenCV goes by the suffix, and takes no name that is not UTF-8
    writer = cv2.VideoWriter()
    copy = Copy(writer, shape)
    try:
        with contextlib.suppress(cv2.error, UnicodeEncodeError):
            str(partial).encode()  # or OpenCV ends the process
            writer.open(str(partial), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), 25, shape[1::-1])
        if not writer.isOpened():
            raise FergitError(f"{path}: cannot be written")
        yield copy
        writer.release()
        try:
            set_times(partial, copy.times, copy.end)
        except (OSError, ValueError):
            raise FergitError(f"{path}: could not be written whole; is the disk full?") from None
        os.replace(partial, path)
    finally:
        writer.release()
        partial.unlink(missing_ok=True)


class Copy:
    """A video that is being written; ``end`` is when its last frame ends, if that is known."""

    def __init__(self, writer, shape):
        self.writer, self.shape, self.times, self.end = writer, shape, [], 0.0

    def add(self, frame, seconds):
        """Write a frame, which lasts from so many seconds to those of the next one."""
        self.writer.write(frame if frame.shape == self.shape else cv2.resize(frame, self.shape[1::-1]))
        self.times.append(seconds)


SCALE = 10_000  # parts of a second in the copy's index: enough for five days


def set_times(path, times, end):
    """Give each frame of OpenCV's MP4 its own time, in seconds; without an end the last lasts as the one before it.

    Raises ValueError where the file lacks frames or its index.
    """
    before = times[-1] - times[-2] if len(times) > 1 else 1 / 25
    stamps = np.array([*times, end if end > times[-1] else times[-1] + before]) - times[0]
    lasting = np.maximum(1, np.diff(np.round(stamps * SCALE).astype(np.int64)))
    with open(path, "r+b") as file:
        place, length = 0, os.fstat(file.fileno()).st_size
        while place < length:
            file.seek(place)
            head = file.read(16)
            size = int.from_bytes(head[8:16]) if head[:4] == b"\0\0\0\1" else int.from_bytes(head[:4])
            if head[4:8] == b"moov" and place + size <= length:  # comes last
                file.seek(place)
                index = _retimed(b"moov", bytearray(file.read(size)[8:]), lasting)
                file.seek(place)
                file.write(index + struct.pack(">I4s", 8 + len(MARK), b"free") + MARK)
                file.truncate()
                return
            place += max(8, size)
    raise ValueError("no index")


def _retimed(kind, body, lasting):
    """A box of an MP4's index, with as many ticks for each frame as `lasting` says."""
    if kind in (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"):
        body = b"".join(_retimed(name, bytearray(part), lasting) for name, part in formats.boxes(bytes(body)))
    elif kind == b"stts":
        if sum(count for count, _ in struct.iter_unpack(">II", body[8:])) != len(lasting):
            raise ValueError("frames are missing")
        body = struct.pack(">II", 0, len(lasting)) + b"".join(struct.pack(">II", 1, ticks) for ticks in lasting)
    elif kind in (b"mvhd", b"mdhd"):
        body[12:20] = struct.pack(">II", SCALE, min(lasting.sum(), 2**32 - 1))
    elif kind in (b"tkhd", b"elst"):
        place = 20 if kind == b"tkhd" else 8
        body[place : place + 4] = struct.pack(">I", min(lasting.sum(), 2**32 - 1))
    return struct.pack(">I", 8 + len(body)) + kind + bytes(body)
