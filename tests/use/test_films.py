"""Films: the time of each frame, copies that last as long, what was cut short, summaries by time."""

import csv
import http.server
import io
import itertools
import json
import os
import struct
import threading
import time

import cv2
import numpy as np
import pytest
from matplotlib import figure
from portraits import Recognizer, portrait

import predict as command
from fergit.core.errors import FergitError
from fergit.use import course, films, formats
from fergit.use.course import BINS, Course
from fergit.use.films import Film, write_film
from fergit.use.recognizer import CLASSES, Face
from fergit.use.tracking import GAP, Tracker

UNEVEN = [*(number / 30 for number in range(60)), *(2 + number / 5 for number in range(40))]  # 30 a second, then 5
PICTURE = cv2.cvtColor(portrait(side=60)[0], cv2.COLOR_GRAY2BGR)


def film(path, times, face=lambda number: True, end=0.0):
    """Write a video whose frames have these times, with a face where `face` says so."""
    path.parent.mkdir(exist_ok=True)
    with write_film(path, PICTURE.shape, path.parent) as copy:
        for number, seconds in enumerate(times):
            copy.add(PICTURE if face(number) else np.full_like(PICTURE, 128), seconds)
        copy.end = end
    return path


def even(path, code="MJPG", frames=20):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 10, PICTURE.shape[1::-1])
    for _ in range(frames):
        writer.write(PICTURE)
    writer.release()
    return path


def run(*arguments):
    return command.main([str(argument) for argument in arguments], Recognizer())


def times(path):
    return [seconds for _, seconds, _ in Film(path)]


def test_each_frame_has_the_films_own_time_and_the_copy_has_it_too(tmp_path):
    source = film(tmp_path / "in" / "uneven.mp4", UNEVEN)
    assert times(source) == pytest.approx(UNEVEN, abs=0.002)
    assert run(source, "--csv", tmp_path / "a.csv", "--annotated", tmp_path / "marked") == 0
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [row["frame"] for row in rows if row["seconds"] == "2.000"] == ["60"] and rows[-1]["seconds"] == "9.800"
    copy = tmp_path / "marked" / "uneven.mp4"
    assert times(copy) == pytest.approx(UNEVEN, abs=0.002)
    capture = cv2.VideoCapture(str(copy))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10, abs=0.02)
    assert [one.name for one in copy.parent.iterdir()] == ["uneven.mp4"]


def test_the_last_frame_lasts_as_long_as_in_the_film(tmp_path, capsys):
    source = film(tmp_path / "in" / "slides.mp4", [0, 5, 6], face=lambda number: number == 2, end=20)
    assert run(source, "--annotated", tmp_path) == 0
    assert "20.0 s, 3 frames, 1 with a face" in capsys.readouterr().out
    capture = cv2.VideoCapture(str(tmp_path / "slides.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20, abs=0.02)


@pytest.mark.parametrize(
    ("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mkv", "mp4v"), ("a.webm", "VP80")]
)
def test_even_films_of_several_formats(tmp_path, name, code):
    assert times(even(tmp_path / name, code)) == pytest.approx(np.arange(20) / 10, abs=0.002)


@pytest.mark.parametrize("stamps", [[0] * 6, [0, 40, 80, 0, 40, 80], [float("nan")] * 6])
def test_without_time_stamps_frames_follow_at_the_films_rate(tmp_path, monkeypatch, stamps):
    class Capture:
        def __init__(self, *_):
            self.left, self.values = 6, iter(stamps)

        def get(self, name):
            return {cv2.CAP_PROP_POS_MSEC: lambda: next(self.values), cv2.CAP_PROP_FPS: lambda: 25.0}.get(
                name, lambda: 6.0
            )()

        def grab(self):
            self.left -= 1
            return self.left >= 0

        def retrieve(self):
            return True, PICTURE

        isOpened, release = bool, int  # noqa: N815, OpenCV's names

    Capture.isOpened, Capture.release = lambda self: True, lambda self: None
    monkeypatch.setattr(films.cv2, "VideoCapture", Capture)
    (tmp_path / "a.avi").write_bytes(b"")
    assert times(tmp_path / "a.avi") == pytest.approx(np.arange(6) / 25)


def test_a_camera_has_the_time_of_the_clock_and_its_copy_lasts_as_long(tmp_path, monkeypatch, capsys):
    class Camera(Film):
        def __init__(self, source, every, fps):
            self.capture, self.live, self.name, self.frames, self.rate = self, True, "camera 0", 0, 30.0
            self.source, self.every, self.fps, self.end, self.left = source, every, fps, 0.0, 9

        def grab(self):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            return True

        def retrieve(self):
            return True, PICTURE

        def release(self):
            pass

    clock = itertools.count()
    monkeypatch.setattr(command, "Film", Camera)
    monkeypatch.setattr(films.time, "monotonic", lambda: float(next(clock)))
    assert run("--camera", "0", "--annotated", tmp_path) == 0
    assert "camera 0: 9.0 s, 9 frames, 9 with a face" in capsys.readouterr().out
    assert times(tmp_path / "camera-0.mp4") == pytest.approx(np.arange(9), abs=0.002)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mkv"])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_film_that_was_cut_short_is_named(tmp_path, name, share):
    path = even(tmp_path / name, "MJPG" if name == "a.avi" else "mp4v", frames=100)
    assert len(times(path)) == 100
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(FergitError, match="cut short or damaged; it ends after|not a video that can be read"):
        times(path)


def test_a_film_that_was_trimmed_by_its_list_of_edits_is_whole(tmp_path):
    """As phones and editors do it: the file keeps all frames and says which to show."""
    path = film(tmp_path / "a.mp4", np.arange(100) / 10)
    data = bytearray(path.read_bytes())
    edits, track = data.index(b"elst"), data.index(b"tkhd")
    data[edits + 12 : edits + 20] = struct.pack(">II", 4 * films.SCALE, 3 * films.SCALE)  # 4 seconds from the third on
    data[track + 24 : track + 28] = struct.pack(">I", 4 * films.SCALE)
    path.write_bytes(data)
    assert len(times(path)) == 40


def test_a_film_with_something_behind_it_is_whole(tmp_path):
    for name, code in (("a.avi", "MJPG"), ("a.mp4", "mp4v")):
        path = even(tmp_path / name, code)
        path.write_bytes(path.read_bytes() + b"\xff\xff\xff\xfftrailer of a phone" * 9)
        assert len(times(path)) == 20


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
def test_a_film_whose_middle_is_missing_is_named(tmp_path, name, code):
    path = even(tmp_path / name, code, frames=100)
    data = bytearray(path.read_bytes())
    end = data.index(b"moov") - 8 if name == "a.mp4" else len(data) - 2000
    data[len(data) // 3 : end] = bytes(end - len(data) // 3)
    path.write_bytes(data)
    with pytest.raises(FergitError, match="cut short or damaged"):
        times(path)


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv", "sound.webm", "sound.avi", "sound.mpg"])
def test_a_film_whose_sound_outlasts_the_picture_is_whole(tmp_path, name):
    av = pytest.importorskip("av", reason="the package av, which writes videos with sound, is not installed")
    with av.open(str(tmp_path / name), "w") as output:
        codecs = {"sound.webm": ("libvpx", "libopus"), "sound.mpg": ("mpeg1video", "mp2")}
        video, sound = codecs.get(name, ("mpeg4", "mp2"))
        picture, tone = output.add_stream(video, rate=25), output.add_stream(sound, rate=48000)
        picture.width, picture.height, picture.pix_fmt = 120, 120, "yuv420p"
        for _ in range(20):
            output.mux(picture.encode(av.VideoFrame.from_ndarray(PICTURE, format="bgr24")))
        output.mux(picture.encode())
        form = tone.codec_context.format.name
        samples = np.zeros((2, 960) if form.endswith("p") else (1, 1920), np.float32 if "fl" in form else np.int16)
        for number in range(600):  # 12 seconds
            frame = av.AudioFrame.from_ndarray(samples, format=form, layout="stereo")
            frame.sample_rate, frame.pts = 48000, 960 * number
            output.mux(tone.encode(frame))
        output.mux(tone.encode())
    assert times(tmp_path / name) == pytest.approx(np.arange(20) / 25, abs=0.05)  # MPEG has its own idea of some


def test_a_playlist_makes_nothing_be_fetched(tmp_path):
    even(tmp_path / "a.avi")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {tmp_path}/a.avi\n")
    for name in ("list.mp4", "concat.mp4"):
        with pytest.raises(FergitError):
            times(tmp_path / name)


def test_a_name_that_is_not_utf_8(tmp_path, capsys):
    even(tmp_path / "a.avi").rename(tmp_path / os.fsdecode(b"\xff.avi"))
    assert run(tmp_path / os.fsdecode(b"\xff.avi"), "--annotated", tmp_path / "out", "--csv", tmp_path / "a.csv") == 0
    assert os.listdir(os.fsencode(tmp_path / "out")) == [b"\xff.mp4"]
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 21


@pytest.mark.parametrize("number", [-1, 100, 10**30])
def test_a_camera_that_cannot_be(number):
    with pytest.raises(FergitError, match="no such camera; allowed: 0 to 99"):
        Film(number)


def faces(label, person=1):
    return [Face((0, 0, 9, 9), {name: float(name == label) for name in CLASSES}, 1.0, person=person)]


def test_a_summary_weighs_by_time():
    course = Course("film")
    for number, seconds in enumerate(UNEVEN):
        course.add(faces("happy" if number < 60 else "sad"), seconds)
    course.close()
    assert course.summary() == "10.0 s, 100 frames, 100 with a face; person 1, 10.0 s: sad 80%, happy 20%"


def test_a_summary_has_each_person_the_longest_first_and_few():
    course = Course("film")
    for number in range(100):
        found = faces("happy", 2) + faces("sad", 1) * (number < 50) + faces("angry", 3 + number) * (number < 60)
        course.add(found, number / 10)
    course.close()
    assert course.summary().endswith(
        "person 2, 10.0 s: happy 100%; person 1, 5.0 s: sad 100%; person 44, 0.1 s: angry 100%; 59 more"
    )
    assert len(course.persons) == 40 and {1, 2} < set(course.persons)


def test_who_comes_late_and_stays_is_kept():
    course = Course("film")
    for second in range(45):
        course.add(faces("happy", second + 1) if second < 40 else faces("sad", 41), second)
    course.close(100)
    assert course.summary().endswith(
        "; person 41, 60.0 s: sad 100%; person 2, 1.0 s: happy 100%; person 3, 1.0 s: happy 100%; 38 more"
    )


def test_a_matroska_header_that_is_longer_than_what_is_read_of_it():
    head = b"\x1a\x45\xdf\xa3\x42\x00" + bytes(700)  # a header of 512 bytes
    assert formats.promised(io.BytesIO(head), 3.0) == (False, 0)


def test_the_course_of_a_film_of_any_length_is_of_one_size():
    course = Course("film")
    for number in range(5000):
        course.add(faces("happy" if number < 2600 else "sad") if number % 5 else [], number / 25)
    course.close()
    (person,) = course.persons.values()
    assert person.sums.shape == (BINS, 7) and BINS * course.width > 200 and course.counts.sum() == 5000
    assert person.sums.sum() == pytest.approx(person.seconds) == pytest.approx(160)
    happy = person.sums[:, CLASSES.index("happy")]
    assert happy[: int(104 / course.width)].sum() >= 82 and happy[int(104 / course.width) + 1 :].sum() == 0
    assert course.summary() == "200.0 s, 5000 frames, 4000 with a face; person 1, 160.0 s: happy 52%, sad 48%"


def in_sight(*boxes, looks=None):
    """Faces at these boxes; what they look like: a seed for each, by default all the same."""
    several = [np.random.default_rng(seed).integers(0, 256, (6, 6)) for seed in looks or [0] * len(boxes)]
    crops = [cv2.resize(one.astype(np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC) for one in several]
    return [Face(box, {"happy": 1.0}, 1.0, crop=one) for box, one in zip(boxes, crops, strict=True)]


def test_a_person_keeps_the_number_when_paths_cross_and_through_a_short_gap():
    tracker, first = Tracker(), None
    for number in range(100):
        seconds = number / 25
        boxes = [(10 + 5 * number, 100, 80, 80), (505 - 5 * number, 110, 76, 76)]
        if 30 <= number < 45:
            boxes = boxes[:1]
        numbers = tracker.follow(in_sight(*boxes), seconds)
        first = first or numbers
        assert numbers == first[: len(boxes)] == [1, 2][: len(boxes)]
    assert tracker.follow(in_sight((5, 5, 80, 80)), 4.0) == [3]
    assert tracker.follow(in_sight((5, 5, 80, 80)), 4.0 + GAP + 0.1) == [4]
    assert len(tracker.persons) == 1


def test_who_comes_back_is_told_by_looks():
    tracker, left, right = Tracker(), (100, 100, 80, 80), (190, 100, 80, 80)
    for number in range(10):
        assert tracker.follow(in_sight(left, right, looks=(1, 2)), number / 25) == [1, 2]
    assert tracker.follow(in_sight(left, right, looks=(2, 1)), 1.5) == [2, 1]  # they changed places meanwhile


@pytest.mark.parametrize("crop", [lambda rng: None, lambda rng: rng.integers(7, 9, (48, 48)).astype(np.uint8)])
def test_areas_without_contrast_and_faces_without_a_crop_are_one_person(crop):
    tracker, rng = Tracker(), np.random.default_rng(0)
    for number in range(9):
        assert tracker.follow([Face((9, 9, 80, 80), {"happy": 1.0}, 1.0, crop=crop(rng))], number / 25) == [1]


def test_two_frames_of_one_time_do_not_stop_a_person():
    tracker = Tracker()
    for number in range(20):
        tracker.follow(in_sight((10 * number, 100, 80, 80)), number / 25)
    before = tracker.persons[1].speed
    tracker.follow(in_sight((190, 100, 80, 80)), 19 / 25)
    assert before[0] > 200 and tracker.persons[1].speed == pytest.approx(before)


def test_a_person_keeps_the_number_when_few_frames_are_searched():
    tracker = Tracker()
    for seconds in np.arange(0, 25, 2.5):  # --fps 0.4
        assert tracker.follow(in_sight((100, 100, 80, 80), (500, 100, 80, 80)), seconds) == [1, 2]
    assert tracker.follow(in_sight((100, 100, 80, 80)), 25.0) == [1]
    assert tracker.follow(in_sight((100, 100, 80, 80), (500, 100, 80, 80)), 27.5) == [1, 3]


def test_a_plot_has_so_many_panels_at_most(monkeypatch, tmp_path):
    monkeypatch.setattr(course, "PANELS", 3)
    monkeypatch.setattr(figure.Figure, "suptitle", lambda self, text: said.append(text))
    said, courses = [], [Course("cost_$1_$2") for _ in range(5)]  # no formula
    for one in courses:
        one.add(faces("happy"), 0.0)
        one.close(1.0)
    for number in (3, 5):
        with open(tmp_path / "a.png", "wb") as file:
            course.plot_courses(courses[:number], file)
        assert cv2.imread(str(tmp_path / "a.png")).shape[0] == round(3 * 3.2 * 120)
    assert said == ["The first 3 of 5 panels"]


def test_a_film_numbers_its_persons_in_every_output(tmp_path, capsys):
    picture = np.hstack([PICTURE, np.full_like(PICTURE, 128), PICTURE])
    with write_film(tmp_path / "two.mp4", picture.shape, tmp_path) as copy:
        for number in range(10):
            copy.add(np.roll(picture, 3 * number, axis=1), number / 10)
    assert run(tmp_path / "two.mp4", "--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json") == 0
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert len(rows) == 20
    for person in ("1", "2"):
        assert sum(row["person"] == person for row in rows) == 10
        assert np.ptp([int(row["x"]) - 3 * int(row["frame"]) for row in rows if row["person"] == person]) < 30
    found = json.loads((tmp_path / "a.json").read_text())
    assert [sorted(face["person"] for face in one["faces"]) for one in found] == [[1, 2]] * 10
    said = capsys.readouterr().out
    assert "person 1, 1.0 s: " in said and "person 2, 1.0 s: " in said


@pytest.mark.parametrize(
    ("options", "frames"), [((), range(20)), (("--every", 7), (0, 7, 14)), (("--fps", 2), (0, 5, 10, 15))]
)
def test_some_frames_may_be_left_out(tmp_path, options, frames):
    assert run(even(tmp_path / "a.avi"), "--csv", tmp_path / "a.csv", "--annotated", tmp_path / "out", *options) == 0
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [int(row["frame"]) for row in rows] == list(frames)
    assert [float(row["seconds"]) for row in rows] == pytest.approx([number / 10 for number in frames], abs=0.002)
    assert times(tmp_path / "out" / "a.mp4") == pytest.approx([number / 10 for number in frames], abs=0.002)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_films_own_rate_leaves_no_frame_out(tmp_path, name):
    """Matroska rounds time stamps to milliseconds."""
    writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter_fourcc(*"mp4v"), 30, PICTURE.shape[1::-1])
    for _ in range(250):
        writer.write(PICTURE)
    writer.release()
    assert len(list(Film(tmp_path / name, fps=30))) == 250
    assert len(list(Film(tmp_path / name, fps=15))) == 125


class Server(http.server.BaseHTTPRequestHandler):
    """A video as a file, and a camera that sends some pictures and hangs up, twice; then it is gone."""

    film, calls, asked, about = b"", 0, {}, None

    def do_GET(self):  # noqa: N802
        if self.path == "/moved.mjpeg":
            self.move()
        elif self.path in ("/a.avi", "/a.mjpeg"):
            self.answer({"Content-Length": str(len(self.film))})
            self.wfile.write(self.film)
        elif self.path == "/silent":
            time.sleep(4)
        elif self.path == "/camera.mjpg" and Server.calls < 2:
            Server.calls += 1
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            jpeg = cv2.imencode(".jpg", PICTURE)[1].tobytes()
            for _ in range(5):
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        else:
            self.send_error(404)

    def do_HEAD(self):  # noqa: N802
        if self.path == "/camera.mjpg":
            return self.send_error(501)
        if self.path == "/moved.mjpeg":
            return self.move()
        self.answer({"Content-Length": str(len(self.film))} if self.about is None else self.about)

    def move(self):
        self.send_response(302)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/a.mjpeg")
        self.end_headers()

    def answer(self, about):
        if self.headers["User-Agent"].startswith("Python"):  # and not OpenCV
            Server.asked = dict(self.headers)
        self.send_response(200)
        for name, value in about.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(films, "WAITS", (0.1, 0.1))
    monkeypatch.setattr(Server, "film", even(tmp_path / "a.avi").read_bytes())
    monkeypatch.setattr(Server, "calls", 0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_film_at_an_address_is_read_only_when_asked_for(server, tmp_path, capsys, monkeypatch):
    assert run("--url", f"{server}/a.avi", "--csv", tmp_path / "b.csv", "--annotated", tmp_path / "out") == 0
    rows = list(csv.DictReader((tmp_path / "b.csv").open()))
    assert len(rows) == 20 and float(rows[-1]["seconds"]) == pytest.approx(1.9, abs=0.01)
    assert len(times(tmp_path / "out" / "url.mp4")) == 20
    assert run(f"{server}/a.avi") == 1  # as a path there is no such file
    said = capsys.readouterr()
    assert "secret" not in said.out + (tmp_path / "b.csv").read_text() and "no such file" in said.err


def test_a_film_at_an_address_that_counts_no_frames_ends(server, monkeypatch):
    monkeypatch.setattr(Server, "film", 20 * cv2.imencode(".jpg", PICTURE)[1].tobytes())
    film = Film(f"{server}/a.mjpeg")
    assert not film.live and not film.frames and len(list(film)) == 20
    assert Server.asked["Authorization"] == "Basic dXNlcjpzZWNyZXQ="  # user:secret


def test_a_password_does_not_follow_to_another_server(server, monkeypatch):
    monkeypatch.setattr(Server, "film", 3 * cv2.imencode(".jpg", PICTURE)[1].tobytes())
    monkeypatch.setattr(Server, "asked", {})
    assert not Film(f"{server}/moved.mjpeg").live
    assert Server.asked["Host"].startswith("localhost:") and "Authorization" not in Server.asked


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"Content-Length": "0"},
        {"Content-Length": "99", "Content-Type": "multipart/x-mixed-replace; boundary=frame"},
        {"Content-Length": "99", "Content-Type": "application/vnd.apple.mpegurl"},
        {"Content-Length": "99", "Content-Type": "application/dash+xml"},
    ],
)
def test_what_has_no_length_of_its_own_is_a_camera(server, monkeypatch, about):
    monkeypatch.setattr(Server, "film", 3 * cv2.imencode(".jpg", PICTURE)[1].tobytes())
    monkeypatch.setattr(Server, "about", about)
    assert Film(f"{server}/a.mjpeg").live


def test_a_camera_at_an_address_is_tried_again_and_its_end_is_named(server):
    camera, seen = Film(f"{server}/camera.mjpg"), []
    assert camera.live
    with pytest.raises(FergitError, match=r"^http://127\.0\.0\.1:\d+/camera\.mjpg: gives no more pictures$"):
        seen.extend(camera)
    assert Server.calls == 2 and len(seen) >= 8
    assert all(later[1] > earlier[1] for earlier, later in itertools.pairwise(seen))


def test_an_address_that_does_not_answer_is_one_line_in_time(server, monkeypatch):
    monkeypatch.setattr(films, "TIMEOUT", 1)
    start = time.monotonic()
    for name in (f"{server}/none", f"{server}/silent", "http://127.0.0.1:9/a.mp4", "rtsp://127.0.0.1:9/a"):
        with pytest.raises(FergitError, match="does not answer, or sends no video"):
            Film(name)
    assert time.monotonic() - start < 30
    for name in ("ftp://a/b", "file:///etc/passwd", "a.mp4", "http://"):
        with pytest.raises(FergitError, match="no address; it must begin with rtsp://"):
            Film(name)


def test_no_password_is_shown_whatever_happens(monkeypatch, capsys):
    assert films.without_password("rtsp://user:se@cret@host/a@b") == "rtsp://host/a@b"
    for shown, hidden in {
        "rtsp://host/s": "rtsp://user:se#cret@host/s",
        "http://h:80?PWD=...": "http://h:80?PWD=se@cret",
        "rtsp://h/user=me&password=...&channel=1": "rtsp://h/user=me&password=secret&channel=1",
        "rtsp://h/user=me_password=...": "rtsp://h/user=me_password=secret_channel=1",
    }.items():
        assert films.without_password(hidden) == shown

    def refuse(*_):
        raise ValueError("a mistake")

    monkeypatch.setattr(films.cv2, "VideoCapture", refuse)
    before = os.environ[films.PROTOCOLS]
    assert run("--url", "rtsp://user:se@cret@host/a") == 1
    assert capsys.readouterr().err == "error: rtsp://host/a: ValueError: a mistake\n"
    assert os.environ[films.PROTOCOLS] == before  # files alone


def test_an_address_cannot_make_a_file_be_read(server, tmp_path, monkeypatch):
    even(tmp_path / "b.avi")
    monkeypatch.setattr(Server, "film", f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/b.avi\n#EXT-X-ENDLIST\n".encode())
    with pytest.raises(FergitError):
        list(Film(f"{server}/a.avi"))
