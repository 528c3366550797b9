"""The page that ``python src/app.py`` serves: a picture or a camera's frame in, faces and their expressions out.

It listens on 127.0.0.1 alone. Any page that the user has open elsewhere can send requests there too, so that names
other than this machine's own (DNS rebinding) and posts from other pages are refused. Pictures are decoded in memory;
nothing is written, logged or sent on. The page itself is app.html, app.css and app.js beside this file.

Tornado is one package without dependencies, keeps what is posted in memory, and is locked for JupyterLab already.
"""

import asyncio
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, stream_request_body

from fergit.core.errors import FergitError
from fergit.data import headers
from fergit.use.photographs import decode
from fergit.use.writers import values

ADDRESS = "127.0.0.1"
LARGEST = 64  # MiB of a posted picture; app.js has it too
PIXELS = 50  # million of a picture: what a browser shows without trouble
AT_ONCE, SECONDS = 4, 30  # pictures in work; until the page is told that one takes too long
FILES = {"": ("app.html", "html"), "app.css": ("app.css", "css"), "app.js": ("app.js", "javascript")}
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
    application = Application(
        [("/(picture|frame)", _Recognition), ("/(.*)", _File)],
        recognizer=recognizer,
        port=port,
        threads=ThreadPoolExecutor(AT_ONCE),
    )
    server = HTTPServer(application, max_body_size=LARGEST * 2**20)
    server.add_sockets(sockets)
    print(f"http://{ADDRESS}:{port}/ is the page, for this machine alone. Ctrl-C ends it.", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        await server.close_all_connections()


@stream_request_body  # so that a refusal comes before what is posted
class _Handler(RequestHandler):
    """Answers to the page alone."""

    def set_default_headers(self):
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self):
        port, host, origin = self.settings["port"], self.request.host, self.request.headers.get("Origin")
        same = origin == f"http://{host}" or (origin is None and self.request.method == "GET")
        if host not in (f"{ADDRESS}:{port}", f"localhost:{port}") or not same:
            tunnel = f"through a tunnel, use the same port on both machines: ssh -L {port}:{ADDRESS}:{port} ..."
            self.answer({"error": f"only http://{ADDRESS}:{port}/ is the page; {tunnel}"}, 403)

    def data_received(self, chunk):
        """Drop what is posted."""

    def answer(self, values, status=200):
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(values))

    def write_error(self, status_code, **_):
        self.answer({"error": f"the app answers {status_code} {self._reason}"}, status_code)


class _File(_Handler):
    """The page, its style and its script."""

    def get(self, name):
        if name not in FILES:
            return self.send_error(404)
        file, kind = FILES[name]
        self.set_header("Content-Type", f"text/{kind}; charset=utf-8")
        self.finish(Path(__file__).with_name(file).read_bytes())


class _Recognition(_Handler):
    """A picture's or a frame's file, posted as it is: its size, and its faces, the largest first."""

    def initialize(self):
        self.chunks = []  # of the file

    def data_received(self, chunk):
        self.chunks.append(chunk)

    async def post(self, kind):
        name, threads = self.get_query_argument("name", kind), self.settings["threads"]
        work = asyncio.get_running_loop().run_in_executor(threads, self.recognize, name)
        try:
            self.answer(await asyncio.wait_for(work, SECONDS))
        except FergitError as error:
            self.answer({"error": str(error)}, 400)
        except TimeoutError:
            self.answer({"error": f"{name}: takes more than {SECONDS} seconds"}, 400)

    def recognize(self, name):
        start = time.perf_counter()
        data = b"".join(self.chunks)
        if headers.kind(data[:512]) == "HDR":
            raise FergitError(f"{name}: is HDR, which OpenCV decodes by way of a file on the disk")
        picture = decode(data, name, PIXELS)
        faces = self.settings["recognizer"].predict(picture, "bgr", name)
        return {
            "width": picture.shape[1],
            "height": picture.shape[0],
            "faces": [values(face) for face in faces],
            "milliseconds": round(1000 * (time.perf_counter() - start), 1),
        }
