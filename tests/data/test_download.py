import http.server
import threading
import time

import pytest

from fergit.core.errors import FergitError
from fergit.data import download as module
from fergit.data.download import download

BODY = bytes(range(256)) * 2000
QUICK = {"pause": 0.01, "timeout": (20, 20)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.behave(self, len(self.server.requests))
        self.close_connection = True

    def send(self, body=BODY, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")  # or a client may ask again on a connection that is about to close
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.requests, server.behave = [], lambda handler, count: handler.send()
    server.url = f"http://127.0.0.1:{server.server_port}/file"
    monkeypatch.setattr(module, "ALLOWED", ("https://", server.url.removesuffix("file")))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def refused(server, target, message, **options):
    """Nothing is left of a download that fails with this message, and what was there before still is."""
    target.write_bytes(b"earlier")
    with pytest.raises(FergitError, match=message) as caught:
        download([server.url], target, **QUICK | options)
    assert (
        "\n" not in str(caught.value) and target.read_bytes() == b"earlier" and len(list(target.parent.iterdir())) == 1
    )


def test_download(server, tmp_path):
    target = tmp_path / "new" / "file.zip"
    download([server.url], target, **QUICK)
    assert target.read_bytes() == BODY and [path.name for path in target.parent.iterdir()] == ["file.zip"]


def test_a_cut_transfer_begins_again(server, tmp_path):
    server.behave = lambda handler, count: handler.send(BODY[:9], length=len(BODY)) if count < 3 else handler.send()
    download([server.url], tmp_path / "file", **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY and len(server.requests) == 3


def test_always_cut_off(server, tmp_path):
    server.behave = lambda handler, count: handler.send(BODY[:10], length=len(BODY))
    refused(server, tmp_path / "file", "IncompleteRead.*attempts: 3")


def test_too_large_by_its_own_word(server, tmp_path):
    server.behave = lambda handler, count: handler.send(length=10**12)
    refused(server, tmp_path / "file", "has 1,000,000,000,000 bytes; at most 1,000 are allowed", max_bytes=1000)
    assert len(server.requests) == 1


def forever(handler, block, pause):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(block)
            time.sleep(pause)
    except OSError:
        pass


def test_endless(server, tmp_path):
    server.behave = lambda handler, count: forever(handler, BODY, 0)
    refused(server, tmp_path / "file", "sends more than 3,000,000 bytes", max_bytes=3_000_000)


def test_a_silent_server(server, tmp_path):
    server.behave = lambda handler, count: time.sleep(1.0)
    refused(server, tmp_path / "file", "timed out.*attempts: 2", attempts=2, timeout=(1, 0.2))


@pytest.mark.parametrize("status", [500, 503, 429])
def test_passing_failures_are_retried(server, tmp_path, status):
    server.behave = lambda handler, count: handler.send(b"", status) if count < 3 else handler.send()
    download([server.url], tmp_path / "file", **QUICK)
    assert len(server.requests) == 3


def test_lasting_failures_are_not(server, tmp_path):
    server.behave = lambda handler, count: handler.send(b"", 404)
    refused(server, tmp_path / "file", "404 Client Error: Not Found")
    assert len(server.requests) == 1


def test_redirects(server, tmp_path):
    server.behave = lambda handler, count: (
        handler.send(b"", 302, Location="/other") if handler.path == "/file" else handler.send()
    )
    download([server.url], tmp_path / "file", **QUICK)
    assert server.requests == ["/file", "/other"]
    for location in ("ftp://127.0.0.1/x", "file:///etc/passwd", "http://example.org/x"):
        server.behave = lambda handler, count, location=location: handler.send(b"", 302, Location=location)
        refused(server, tmp_path / "file", "refused")
    server.behave = lambda handler, count: handler.send(b"", 302, Location="/file")
    refused(server, tmp_path / "file", "Exceeded 5 redirects")


def test_the_next_address_is_tried(server, tmp_path):
    server.behave = lambda handler, count: handler.send(b"", 404) if handler.path == "/file" else handler.send()
    download([server.url, server.url + "/mirror"], tmp_path / "file", **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "ftp://example.org/x", "file:///etc/passwd", "//example.org/x", "x"]
)
def test_only_https(tmp_path, url):
    with pytest.raises(FergitError, match="refused"):
        download([url], tmp_path / "file", **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_nobody_there(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ALLOWED", ("http://",))
    with pytest.raises(FergitError, match="attempts: 2"):
        download(["http://127.0.0.1:9/x"], tmp_path / "file", attempts=2, **QUICK)


def test_a_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FergitError, match="cannot be written"):
        download([server.url], tmp_path / "file" / "below", **QUICK)
