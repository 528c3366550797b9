"""`make app`: what the page does in a browser, whom it answers, and that nothing leaves the machine or stays on it."""

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
from browser import PROGRAM, browse
from portraits import Recognizer, long_pictures, portrait

from fergit.core import paths
from fergit.use.photographs import ALLOWED

pytest.importorskip("tornado", reason="tornado is not here: `make app` brings it")
psutil = pytest.importorskip("psutil")

import app as command  # noqa: E402, for it ends where there is no tornado
from fergit.use import app  # noqa: E402

in_browser = pytest.mark.skipif(not PROGRAM, reason="chromium is not here")

# The app with the tests' recognizer. What Python itself would write, start or connect to is noted on the way.
PROGRAM_OF_APP = """
import os, sys, time

notes = open(sys.argv[1], "a", buffering=1)
noted = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.exec",
         "os.posix_spawn", "os.system", "os.mkdir", "os.rename", "tempfile.mkstemp", "tempfile.mkdtemp"}
writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def note(event, values):
    if event in noted or event == "open" and values[2] & writes and values[0] != os.devnull:
        notes.write(f"{event} {values[:2]}\\n")


sys.addaudithook(note)
import app, portraits


class Recognizer(portraits.Recognizer):
    def predict(self, image, *rest):
        assert image.shape[:2] != (7, 7), "a mistake in the app"
        if image.shape[:2] == (9, 9):
            time.sleep(300)  # as a decoder might take
        return super().predict(image, *rest)


raise SystemExit(app.main(sys.argv[2:], Recognizer()))
"""


class App:
    """The app as a process of its own.

    Attributes
    ----------
    address : str
    folder : Path
        Its working folder, home and folder of temporary files, empty at first.
    """

    def __init__(self, folder):
        self.folder, self.log = folder / "home", folder / "notes"
        self.folder.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM_OF_APP, str(self.log), "--port", "0"],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(paths.ROOT / "src"), str(paths.ROOT / "tests")]),
                "PYTHONDONTWRITEBYTECODE": "1",
                **dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(self.folder)),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = self.process.stdout.readline()
        self.address = self.said.split(" ")[0]
        self.port = int(self.address.rstrip("/").rpartition(":")[2])

    def post(self, path, data, **headers):
        """Status and answer to a post, as the page sends it unless told otherwise."""
        return self.ask("POST", path, data, **{"Origin": self.address.rstrip("/")} | headers)

    def ask(self, method, path, data=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, data, {name: value for name, value in headers.items() if value})
            answer = connection.getresponse()
            self.headers = answer.headers
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self):
        """Ctrl-C; the exit status and all that was printed since the start."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30), *self.process.communicate()
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = App(tmp_path_factory.mktemp("app"))
    yield served
    assert served.end() == (0, "", "")  # whatever was posted, nothing of it is on the terminal


@pytest.fixture(scope="module")
def page(served, tmp_path_factory):
    """The page in a browser whose camera shows no face, on a desktop's screen."""
    with browse(tmp_path_factory.mktemp("browser"), *CAMERA) as page:
        page.look(1280, 800)
        page.open(served.address)
        yield page


CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
STATUS = "document.getElementById('status').textContent"
LATENCY = "document.getElementById('latency').textContent"


def png(people=1):
    return cv2.imencode(".png", portrait(people)[0])[1].tobytes()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "two people.png"
    path.write_bytes(png(2))
    return path


def film(path, pictures):
    """Write pictures as the uncompressed video that Chromium takes for a camera's."""
    height, width = pictures[0].shape
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode())
        for picture in pictures:
            color = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
            file.write(b"FRAME\n" + cv2.cvtColor(color, cv2.COLOR_BGR2YUV_I420).tobytes())


def send(page, kind, data, name="face.png"):
    """Drop or paste a file."""
    event = {"drop": "DragEvent('drop', {dataTransfer", "paste": "ClipboardEvent('paste', {clipboardData"}[kind]
    page.run(f"""
        (async () => {{
            const data = new DataTransfer(), bytes = "data:;base64,{base64.b64encode(data).decode()}";
            const blob = Uint8Array.from(atob(bytes.split(",")[1]), (one) => one.charCodeAt(0));
            data.items.add(new File([blob], {json.dumps(name)}, {{type: "image/png"}}));
            document.body.dispatchEvent(new {event}: data, bubbles: true, cancelable: true}}));
        }})()
    """)


def faces(page):
    """Of each card: its label, its probability, and all seven."""
    return page.run("""
        [...document.querySelectorAll("#faces article")].map((card) => ({
            label: card.querySelector(".label").textContent,
            share: card.querySelector(".share").textContent,
            rows: [...card.querySelectorAll("tr")].map((row) => [...row.cells].map((cell) => cell.textContent)),
            bars: [...card.querySelectorAll("i")].map((bar) => parseFloat(bar.style.width)),
        }))
    """)


def test_the_same_faces_as_in_python(served):
    status, said = served.post("/picture?name=two", png(2))
    said = json.loads(said)
    expected = Recognizer().predict(portrait(2)[0], "gray")
    assert status == 200 and (said["width"], said["height"]) == (600, 300) and said["milliseconds"] > 0
    assert [face["box"] for face in said["faces"]] == [list(face.box) for face in expected]
    for face, other in zip(said["faces"], expected, strict=True):
        assert face["label"] == other.label and len(face["probabilities"]) == 7
        assert face["probabilities"] == pytest.approx(other.probabilities, abs=1e-4)


@pytest.mark.parametrize("name", long_pictures())
def test_long_thin_pictures(served, name):
    picture, faces = long_pictures()[name]
    status, said = served.post("/picture?name=a", cv2.imencode(".png", picture)[1].tobytes())
    assert status == 200 and len(json.loads(said)["faces"]) == faces


def test_a_mistake_in_the_app_is_said_on_the_page_alone(served):
    status, said = served.post("/picture?name=a", cv2.imencode(".png", np.zeros((7, 7), np.uint8))[1].tobytes())
    assert (status, json.loads(said)) == (500, {"error": "the app answers 500 Internal Server Error"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 200),
        ({"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"}, 403),  # DNS rebinding
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "127.0.0.1:{port}.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),  # another program's page on this machine
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
    ],
)
def test_only_its_own_page_is_answered(served, headers, status):
    headers = {name: value and value.format(port=served.port) for name, value in headers.items()}
    assert served.post("/picture", png(), **headers)[0] == status
    if "Host" in headers:
        headers.pop("Origin", None)
        assert served.ask("GET", "/", **headers)[0] == status


def test_a_tunnel_to_another_port_is_told_the_remedy(served):
    status, said = served.ask("GET", "/", Host="localhost:9000")
    port = served.port
    remedy = f"through a tunnel, use the same port on both machines: ssh -L {port}:127.0.0.1:{port} ..."
    assert (status, json.loads(said)) == (403, {"error": f"only http://127.0.0.1:{port}/ is the page; {remedy}"})


def test_page_and_app_have_one_limit(served):
    assert f"const LARGEST = {app.LARGEST};" in served.ask("GET", "/app.js")[1].decode()


@pytest.mark.parametrize("path", ["picture", "", "none"])
def test_another_pages_post_is_refused_unread(served, path):
    with socket.create_connection(("127.0.0.1", served.port), 60) as connection:
        own = f"Host: 127.0.0.1:{served.port}\r\nOrigin: http://evil.example\r\n"
        connection.sendall(f"POST /{path} HTTP/1.1\r\n{own}Content-Length: {2**20}\r\n\r\n".encode())
        assert connection.recv(99).startswith(b"HTTP/1.1 403")  # before a byte of it was sent


def test_the_page_may_load_only_itself_and_is_not_kept(served):
    for name, kind in (("", "html"), ("app.css", "css"), ("app.js", "javascript")):
        status, text = served.ask("GET", f"/{name}")
        assert status == 200 and kind in served.headers["Content-Type"]
        assert not [word for word in (b"https:", b"@import", b"//cdn") if word in text]
        assert served.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert served.headers["Cache-Control"] == "no-store" and "Set-Cookie" not in served.headers
        assert not {"Server", "Access-Control-Allow-Origin"} & set(served.headers)
        assert served.ask("GET", f"/{name}", Origin="http://evil.example")[0] == 403
    for path in ("/app.py", "/../app.py", "/appxcss", "/picture/x", "/favicon.ico"):
        assert served.ask("GET", path)[0] == 404
    assert served.ask("GET", "/picture")[0] == served.ask("OPTIONS", "/picture", Origin=served.address[:-1])[0] == 405


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a b.jpg: is empty"),
        (b"hello", "a b.jpg: not a photograph that can be read; allowed: " + ALLOWED),
        (b"Dear reader", "a b.jpg: not a photograph that can be read; allowed: " + ALLOWED),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a b.jpg: the file is damaged or cut short"),
        (png()[:-9], "a b.jpg: the file is damaged or cut short"),
    ],
)
def test_what_is_no_picture_is_one_line(served, data, message):
    status, said = served.post("/picture?name=a%20b.jpg", data)
    assert (status, json.loads(said)) == (400, {"error": message})


def test_more_than_64_mib_is_refused_unread(served):
    with socket.create_connection(("127.0.0.1", served.port), 60) as connection:
        own = f"Host: 127.0.0.1:{served.port}\r\nOrigin: {served.address[:-1]}\r\n"
        connection.sendall(f"POST /picture HTTP/1.1\r\n{own}Content-Length: {64 * 2**20 + 1}\r\n\r\n".encode())
        assert connection.recv(99).startswith(b"HTTP/1.1 400")
    assert served.post("/picture", b"0" * 2**20)[0] == 400
    assert served.post("/picture", png())[0] == 200


def test_a_picture_too_large_for_a_browser_and_one_that_would_need_a_file(served):
    status, said = served.post("/picture?name=a", b"P5 8000 7000 255 " + bytes(99))
    assert (status, json.loads(said)) == (400, {"error": "a: is 8000x7000 pixels; allowed: 50 million"})
    light = cv2.imencode(".hdr", np.ones((20, 20, 3), np.float32))[1].tobytes()
    assert served.post("/picture?name=a", light)[0] == 400


def ask_in_vain(app, picture):
    with contextlib.suppress(OSError, http.client.HTTPException):
        app.post("/picture", picture)


def test_what_takes_long_holds_up_neither_the_page_nor_its_end(tmp_path):
    app = App(tmp_path)
    try:
        slow = cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes()
        waiting = [threading.Thread(target=ask_in_vain, args=(app, slow), daemon=True) for _ in range(3)]
        for one in waiting:
            one.start()
        time.sleep(1)
        start = time.monotonic()
        assert app.ask("GET", "/")[0] == 200 and app.post("/frame", png())[0] == 200
        assert all(one.is_alive() for one in waiting)
        assert app.end() == (0, "", "") and time.monotonic() - start < 20
    finally:
        app.process.kill()


def test_it_listens_on_this_machine_alone(served):
    found = psutil.Process(served.process.pid).net_connections()
    assert {one.laddr.ip for one in found} == {"127.0.0.1"}
    assert {one.laddr.port for one in found if one.status == psutil.CONN_LISTEN} == {served.port}


def test_a_port_that_is_taken_is_one_line(served, capsys):
    assert command.main(["--port", str(served.port)], Recognizer()) == 1
    said = f"error: port {served.port}: Address already in use; `--port 0` takes a free one\n"
    assert capsys.readouterr() == ("", said)


def test_a_missing_network_is_one_line(monkeypatch, tmp_path, capsys):
    assert command.main(["--network", str(tmp_path / "none.onnx")]) == 1
    said = f"error: {tmp_path}/none.onnx: no such file; models/ has "
    err = capsys.readouterr().err
    assert err.startswith(said) and err.count("\n") == 1


def test_a_python_without_the_packages_is_named():
    done = subprocess.run([sys.executable, "-S", "src/app.py"], cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "has no package tornado; `make app` makes" in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--port", "80"], ["--port", "65536"], ["--smallest", "0"], ["picture.jpg"]])
def test_wrong_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2 and len(capsys.readouterr().err.splitlines()) <= 3


@in_browser
def test_a_chosen_picture_shows_boxes_seven_bars_and_the_latency(page, file):
    page.choose("#file", file)
    page.wait(f"{STATUS} === 'two people.png: 2 faces'")
    expected = Recognizer().predict(portrait(2)[0], "gray")
    for found, face in zip(faces(page), expected, strict=True):
        assert (found["label"], found["share"]) == (face.label, f"{face.probability:.0%}".replace("%", "\u202f%"))
        assert [row[0] for row in found["rows"]] == list(face.probabilities)
        assert found["bars"] == pytest.approx([100 * value for value in face.probabilities.values()], abs=0.02)
    boxes = page.run("""
        (() => {
            const all = document.getElementById("picture").getBoundingClientRect();
            return [...document.querySelectorAll(".box")].map((box) => {
                const one = box.getBoundingClientRect();
                return [(one.x - all.x) / all.width, (one.y - all.y) / all.height, one.width / all.width];
            });
        })()
    """)
    for box, face in zip(boxes, expected, strict=True):
        x, y, side, _ = face.box
        assert box == pytest.approx([x / 600, y / 300, side / 600], abs=0.005)
    assert page.run("document.querySelector('.box').textContent") == f"1 {expected[0].label} {faces(page)[0]['share']}"
    assert page.run("document.getElementById('picture').naturalWidth") == 600
    assert page.run(LATENCY).startswith("Mean latency of 1 picture: ")


@in_browser
@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_drop_and_paste(page, kind):
    send(page, kind, png(), f"{kind} <b>.png")
    page.wait(f"{STATUS} === '{kind} <b>.png: 1 face'")
    assert len(faces(page)) == 1
    page.run("dispatchEvent(new DragEvent('drop', {dataTransfer: new DataTransfer(), cancelable: true}))")
    page.wait(f'{STATUS} === "What was dropped is no picture\'s file."')


@in_browser
def test_no_face_a_broken_picture_one_too_large_and_one_that_the_browser_cannot_show(page, tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((300, 300), 128, np.uint8))
    page.choose("#file", tmp_path / "wall.png")
    page.wait(f"{STATUS} === 'wall.png: no face found'")
    assert faces(page) == [] and page.run("document.getElementById('picture').hidden") is False

    (tmp_path / "cut.png").write_bytes(png()[:-9])
    page.choose("#file", tmp_path / "cut.png")
    page.wait(f"{STATUS} === 'cut.png: the file is damaged or cut short'")
    assert page.run("document.getElementById('status').className") == "error"
    assert page.run("document.getElementById('frame').hidden")

    with open(tmp_path / "large.bmp", "wb") as file:
        file.truncate(64 * 2**20 + 1)
    page.choose("#file", tmp_path / "large.bmp")
    page.wait(f"{STATUS} === 'large.bmp: has more than 64 MiB'")

    cv2.imwrite(str(tmp_path / "face.tif"), portrait()[0])
    page.choose("#file", tmp_path / "face.tif")
    page.wait(f"{STATUS} === 'face.tif: 1 face (the browser cannot show such a file)'")
    assert len(faces(page)) == 1


@in_browser
def test_of_two_pictures_the_newer_one_stays(page, file):
    # The app answers one after the other; in the page, the first answer is held back until it is released.
    page.run("""
        (() => {
            const own = fetch;
            fetch = async (...request) => {
                fetch = own;
                const answer = await own(...request), said = await answer.json();
                await new Promise((done) => (release = done));
                return { ok: answer.ok, json: async () => said };
            };
        })()
    """)
    send(page, "drop", png(2), "old.png")
    page.wait("typeof release === 'function'")
    send(page, "drop", png(), "new.png")
    page.wait(f"{STATUS} === 'new.png: 1 face'")
    page.run("new Promise((done) => { release(); setTimeout(done); })")  # by then the old answer was dealt with
    assert page.run(STATUS) == "new.png: 1 face" and len(faces(page)) == 1
    assert page.run("document.getElementById('picture').alt") == "new.png"


@in_browser
def test_a_camera_without_faces_by_keyboard(page, file):
    page.run("document.activeElement.blur()")
    places = []
    for _ in range(2):
        page.press("Tab", 9)
        places.append(page.run("document.activeElement.id"))
        assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert places == ["choose", "camera"]
    page.press("Enter", 13)
    page.wait(f"{STATUS} === 'Camera: no face found'")
    assert page.run("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.press("Enter", 13)
    page.wait("document.getElementById('video').srcObject === null && document.getElementById('hint').hidden === false")
    assert page.run("document.activeElement.textContent") == "Start camera"
    # A picture ends the camera too.
    page.press("Enter", 13)
    page.wait(f"{STATUS} === 'Camera: no face found'")
    page.choose("#file", file)
    page.wait(f"{STATUS} === 'two people.png: 2 faces'")
    assert page.run("document.getElementById('video').srcObject") is None


@in_browser
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotAllowedError", "The browser does not allow the camera."),
        ("NotFoundError", "There is no camera."),
        ("NotReadableError", "The camera cannot be read; another program may have it."),
    ],
)
def test_a_camera_that_is_not_given(page, name, said):
    page.run("own = navigator.mediaDevices.getUserMedia, 1")
    page.run(f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{name}') }}, 1")
    page.run("document.getElementById('camera').click()")
    page.wait(f"{STATUS} === '{said}'")
    page.run("navigator.mediaDevices.getUserMedia = own, 1")
    assert page.run("document.getElementById('camera').textContent") == "Start camera"


@in_browser
@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844), (844, 390), (1280, 800)])
def test_phone_and_desktop_light_and_dark(page, file, width, height):
    page.choose("#file", file)
    page.wait(f"{STATUS} === 'two people.png: 2 faces'")
    colors = []
    for scheme in ("light", "dark"):
        page.look(width, height, scheme, mobile=width < 900)
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert page.run("[...document.querySelectorAll('button')].every((one) => one.offsetHeight >= 44)")
        colors.append(
            page.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
        )
    page.look(1280, 800)
    assert colors[0] == ["rgb(255, 255, 255)", "rgb(31, 35, 40)"] and colors[1] == [
        "rgb(20, 24, 29)",
        "rgb(216, 223, 231)",
    ]


@in_browser
def test_nothing_leaves_the_machine_and_nothing_is_left_on_it(tmp_path, file):
    """A picture, a camera that sees a face, a picture that is refused; then Ctrl-C while the camera runs."""
    film(tmp_path / "camera.y4m", [np.roll(cv2.resize(portrait()[0], (640, 480)), 9 * shift, 1) for shift in range(5)])
    app = App(tmp_path)
    try:
        (tmp_path / "browser").mkdir()
        camera = f"--use-file-for-fake-video-capture={tmp_path / 'camera.y4m'}"
        with browse(tmp_path / "browser", *CAMERA, camera) as page:
            page.open(app.address)
            page.choose("#file", file)
            page.wait(f"{STATUS} === 'two people.png: 2 faces'")
            page.choose("#file", app.log)
            page.wait(f"{STATUS}.startsWith('notes: not a photograph')")
            page.run("document.getElementById('camera').click()")
            page.wait(f"{STATUS} === 'Camera: 1 face' && /of [0-9]+ frames/.test({LATENCY})")
            (found,) = faces(page)
            assert len(found["bars"]) == 7 and page.run("document.querySelectorAll('.box').length") == 1

            connected = {one.raddr.ip for one in psutil.Process(app.process.pid).net_connections() if one.raddr}
            assert connected == {"127.0.0.1"}
            own = (app.address, f"blob:{app.address}", "data:", "about:")
            assert len(page.requests) > 5 and not [one for one in page.requests if not one.startswith(own)]
            kept = "[document.cookie, localStorage.length, sessionStorage.length, await caches.keys()]"
            assert page.run(f"(async () => {kept})()") == ["", 0, 0, []]
            assert page.run("indexedDB.databases()") == []
            refused = [one for one in page.errors if "400" not in one]
            assert not refused, refused  # nothing that the page's own policy had to refuse

            assert app.end() == (0, "", "")
            page.wait(f"{STATUS} === 'The app does not answer. Does it still run in its terminal?'")
            assert page.run("document.getElementById('video').srcObject") is None
    finally:
        app.process.kill()
    assert app.said == f"{app.address} is the page, for this machine alone. Ctrl-C ends it.\n"
    assert list(app.folder.rglob("*")) == []
    assert {line.split(" ")[0] for line in app.log.read_text().splitlines()} <= {"socket.getaddrinfo"}
    assert all("'127.0.0.1'" in line for line in app.log.read_text().splitlines())
