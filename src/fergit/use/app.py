"""The page that ``python src/app.py`` serves: a picture or a camera's frame in, faces and their expressions out.

It listens on 127.0.0.1 alone. Any page that the user has open elsewhere can send requests there too, so that names
other than this machine's own (DNS rebinding) and posts from other pages are refused. Pictures are decoded in memory;
nothing is written, logged or sent on. The page itself is app.html, app.css and app.js beside this file.

Tornado is one package without dependencies, keeps what is posted in memory, and is locked for JupyterLab already.
"""

import asyncio
import contextlib
import json
import logging
import threading
import time
from pathlib import Path
from string import Template

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, stream_request_body

from fergit.core.errors import FergitError
from fergit.use import formats
from fergit.use.photographs import decode

ADDRESS = "127.0.0.1"
LARGEST = 64  # MiB of a posted picture
PIXELS = 50  # million of a picture: what a browser shows without trouble
AT_ONCE, SECONDS = 4, 30  # pictures in work; until the page is told that one takes too long
FILES = {"": "text/html", "app.css": "text/css", "app.js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


async def serve(recognizer, port):
    """Serve the page until cancelled, and print where it is; port 0 is any that is free."""
    try:
        sockets = bind_sockets(port, ADDRESS)
    except OSError as error:
        raise FergitError(f"port {port}: {error.strerror}; `--port 0` takes a free one") from None
    port = sockets[0].getsockname()[1]
    for name in ("tornado.access", "tornado.general", "tornado.application"):  # the page says what went wrong
        logging.getLogger(name).setLevel(logging.CRITICAL)
    server = HTTPServer(application(recognizer, port), max_body_size=LARGEST * 2**20)
    server.add_sockets(sockets)
    print(f"http://{ADDRESS}:{port}/ is the page, for this machine alone. Ctrl-C ends it.", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        await server.close_all_connections()


async def in_thread(slots, function, *arguments):
    """What a function returns or raises, computed by a thread of its own that does not keep the process from ending.

    Raises TimeoutError after `SECONDS`; the thread keeps its place among `slots`, a semaphore, until it is done.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def settle(result, error):
        slots.release()
        if not done.cancelled():
            done.set_exception(error) if error else done.set_result(result)

    def work():
        try:
            outcome = function(*arguments), None
        except Exception as error:
            outcome = None, error
        with contextlib.suppress(RuntimeError):  # the app has ended
            loop.call_soon_threadsafe(settle, *outcome)

    async with asyncio.timeout(SECONDS):
        await slots.acquire()
        threading.Thread(target=work, daemon=True).start()
        return await done


def application(recognizer, port):
    """The page's addresses, as a Tornado application."""
    template = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    files = {"": template.substitute(megabytes=LARGEST).encode()}
    files |= {name: Path(__file__).with_name(name).read_bytes() for name in FILES if name}
    return Application(
        [(r"/(|app\.css|app\.js)", _File, {"files": files}), ("/(picture|frame)", _Recognition)],
        default_handler_class=_Nothing,
        recognizer=recognizer,
        hosts={f"{name}:{port}" for name in (ADDRESS, "localhost")},
        slots=asyncio.Semaphore(AT_ONCE),
    )


@stream_request_body  # so that a refusal comes before what is posted
class _Handler(RequestHandler):
    """Answers to the page alone."""

    def set_default_headers(self):
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self):
        host, origin = self.request.headers.get("Host"), self.request.headers.get("Origin")
        same = origin == f"http://{host}" or (origin is None and self.request.method == "GET")
        if host not in self.settings["hosts"] or not same:
            ports = ", ".join(sorted(f"http://{name}/" for name in self.settings["hosts"]))
            self.answer({"error": f"the page is {ports}, and no other; a tunnel needs that port at both ends"}, 403)

    def data_received(self, chunk):
        """Drop what is posted."""

    def answer(self, values, status=200):
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(values))

    def write_error(self, status_code, **_):
        self.answer({"error": f"the app answers {status_code} {self._reason}"}, status_code)


class _Nothing(_Handler):
    """Every other address."""

    def get(self):
        self.send_error(404)

    post = get


class _File(_Handler):
    """The page, its style and its script."""

    def initialize(self, files):
        self.files = files

    def get(self, name):
        self.set_header("Content-Type", f"{FILES[name]}; charset=utf-8")
        self.finish(self.files[name])


class _Recognition(_Handler):
    """A picture's or a frame's file, posted as it is: its size, and its faces, the largest first."""

    def initialize(self):
        self.chunks = []  # of the file

    def data_received(self, chunk):
        self.chunks.append(chunk)

    async def post(self, kind):
        name = self.get_query_argument("name", kind)
        try:
            values = await in_thread(self.settings["slots"], self.recognize, name)
        except FergitError as error:
            self.answer({"error": str(error)}, 400)
        except TimeoutError:
            self.answer({"error": f"{name}: takes more than {SECONDS} seconds"}, 400)
        else:
            self.answer(values)

    def recognize(self, name):
        start = time.perf_counter()
        data = b"".join(self.chunks)
        if formats.kind(data[:512]) == "HDR":
            raise FergitError(f"{name}: is HDR, which OpenCV decodes by way of a file on the disk")
        picture = decode(data, name, PIXELS)
        faces = self.settings["recognizer"].predict(picture, "bgr", name)
        return {
            "width": picture.shape[1],
            "height": picture.shape[0],
            "faces": [
                {
                    "box": face.box,
                    "label": face.label,
                    "probabilities": {label: round(value, 4) for label, value in face.probabilities.items()},
                }
                for face in faces
            ],
            "milliseconds": round(1000 * (time.perf_counter() - start), 1),
        }
