import hashlib
import http.server
import threading
import time

import pytest

from fergit.core.errors import FergitError
from fergit.data.download import download

BODY = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = {"backoff": 0.01, "timeout": (20, 20), "quiet": True}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        server.behave(self, len(server.requests))
        self.close_connection = True

    def send(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")  # or a client may ask again on a connection that is about to close
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_range(self, body=BODY, **headers):
        """All of it, or from where the client asks."""
        asked = self.headers.get("Range")
        if asked is None:
            return self.send(body, **headers)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            return self.send(b"", 416, Content_Range=f"bytes */{len(body)}")
        return self.send(body[start:], 206, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}", **headers)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.requests, server.behave = [], lambda handler, count: handler.send_range()
    server.url = f"http://127.0.0.1:{server.server_port}/file"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def nothing_left(folder):
    return list(folder.iterdir()) == []


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_download(server, tmp_path, sha256):
    target = tmp_path / "new" / "file.zip"
    assert download(server.url, target, sha256, **QUICK) == target
    assert target.read_bytes() == BODY and [path.name for path in target.parent.iterdir()] == ["file.zip"]


def test_resumes_what_an_earlier_call_left(server, tmp_path):
    (tmp_path / "file.part").write_bytes(BODY[:1000])
    download(server.url, tmp_path / "file", SHA256, **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY and server.requests == [("/file", "bytes=1000-")]


def test_a_part_that_is_whole_needs_no_more(server, tmp_path):
    (tmp_path / "file.part").write_bytes(BODY)
    download(server.url, tmp_path / "file", SHA256, **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY


def test_without_a_checksum_an_old_part_is_not_trusted(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"of another version")
    download(server.url, tmp_path / "file", **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY and server.requests == [("/file", None)]


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * (len(BODY) + 5)])
def test_a_wrong_part_is_thrown_away(server, tmp_path, part):
    (tmp_path / "file.part").write_bytes(part)
    download(server.url, tmp_path / "file", SHA256, **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_server_without_ranges_sends_all_of_it(server, tmp_path):
    server.behave = lambda handler, count: handler.send(BODY)
    (tmp_path / "file.part").write_bytes(BODY[:1000])
    download(server.url, tmp_path / "file", SHA256, **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_cut_transfer_goes_on(server, tmp_path):
    def behave(handler, count):
        if count == 1:
            handler.send(BODY[:300_000], length=len(BODY))
        else:
            handler.send_range()

    server.behave = behave
    download(server.url, tmp_path / "file", SHA256, **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY
    assert server.requests[1][1].startswith("bytes=")


def test_always_cut_off(server, tmp_path):
    server.behave = lambda handler, count: handler.send(BODY[:10], length=len(BODY))
    (tmp_path / "file").write_bytes(b"earlier")
    with pytest.raises(FergitError, match="gave up after 4 attempts"):
        download(server.url, tmp_path / "file", **QUICK)
    assert (tmp_path / "file").read_bytes() == b"earlier"


def test_wrong_checksum(server, tmp_path):
    server.behave = lambda handler, count: handler.send(b"something else")
    with pytest.raises(FergitError, match=f"sha256 is .*, expected {SHA256}"):
        download(server.url, tmp_path / "file", SHA256, **QUICK)
    assert nothing_left(tmp_path)


def test_too_large_by_its_own_word(server, tmp_path):
    server.behave = lambda handler, count: handler.send(b"", length=10**12)
    with pytest.raises(FergitError, match="has 1,000,000,000,000 bytes; at most 1,000 are allowed"):
        download(server.url, tmp_path / "file", max_bytes=1000, **QUICK)
    assert nothing_left(tmp_path) and len(server.requests) == 1


def test_endless(server, tmp_path):
    def behave(handler, count):
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(BODY)
        except OSError:
            pass

    server.behave = behave
    with pytest.raises(FergitError, match="more than the 3,000,000 bytes"):
        download(server.url, tmp_path / "file", max_bytes=3_000_000, **QUICK)
    assert nothing_left(tmp_path)


def test_silent_and_dripping_servers(server, tmp_path):
    server.behave = lambda handler, count: time.sleep(1.0)
    with pytest.raises(FergitError, match="gave up after 2 attempts"):
        download(server.url, tmp_path / "file", attempts=2, backoff=0.01, timeout=(1, 0.2), quiet=True)

    def drip(handler, count):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    server.behave = drip
    start = time.monotonic()
    with pytest.raises(FergitError, match="too slow|in the time that is allowed"):
        download(server.url, tmp_path / "file", deadline=0.5, **QUICK)
    assert time.monotonic() - start < 60  # all of it would take some 14 hours


@pytest.mark.parametrize("status", [500, 503, 429])
def test_passing_failures_are_retried(server, tmp_path, status):
    server.behave = lambda handler, count: handler.send(b"", status) if count < 3 else handler.send_range()
    download(server.url, tmp_path / "file", SHA256, **QUICK)
    assert len(server.requests) == 3


def test_lasting_failures_are_not(server, tmp_path):
    server.behave = lambda handler, count: handler.send(b"", 404)
    with pytest.raises(FergitError, match="answers 404"):
        download(server.url, tmp_path / "file", **QUICK)
    assert len(server.requests) == 1


def test_redirects(server, tmp_path):
    server.behave = lambda handler, count: (
        handler.send(b"", 302, Location="/other") if handler.path == "/file" else handler.send_range()
    )
    download(server.url, tmp_path / "file", SHA256, **QUICK)
    assert [path for path, _ in server.requests] == ["/file", "/other"]
    for location in ("https://127.0.0.1:1/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://example.org/x"):
        server.behave = lambda handler, count, location=location: handler.send(b"", 302, Location=location)
        with pytest.raises(FergitError, match="refused"):
            download(server.url, tmp_path / "again", **QUICK)
    server.behave = lambda handler, count: handler.send(b"", 302, Location="/file")
    with pytest.raises(FergitError, match="more than 5 redirects"):
        download(server.url, tmp_path / "again", **QUICK)


def test_mirrors(server, tmp_path):
    server.behave = lambda handler, count: handler.send(b"", 404) if handler.path == "/file" else handler.send_range()
    download([server.url, server.url + "/mirror"], tmp_path / "file", SHA256, **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "ftp://example.org/x", "file:///etc/passwd", "https:///x", "x"]
)
def test_only_https(tmp_path, url):
    with pytest.raises(FergitError, match="refused"):
        download(url, tmp_path / "file", **QUICK)
    assert nothing_left(tmp_path)


def test_nobody_there(tmp_path):
    with pytest.raises(FergitError, match="no connection"):
        download("http://127.0.0.1:9/x", tmp_path / "file", attempts=2, **QUICK)


def test_a_place_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FergitError, match="cannot be written"):
        download(server.url, tmp_path / "file" / "below", **QUICK)
