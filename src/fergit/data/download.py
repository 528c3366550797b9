"""Downloads that are whole, and from where they were meant to come."""

import time

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from fergit.core.errors import FergitError
from fergit.core.files import write_atomically

ALLOWED = ("https://",)  # how an address must begin, and one that it redirects to
LATER = (408, 425, 429, 500, 502, 503, 504)  # answers after which another attempt may succeed
# As it is stored: bytes that were packed for the way could not be counted.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "fergit"}


def download(urls, destination, *, max_bytes=1 << 30, timeout=(10, 30), attempts=3, pause=1.0):
    """Download a file over https from the first of several addresses that has it.

    It takes its place only when it is whole; after an error, what was there is still there. `timeout` is in seconds for
    a connection and for the next bytes; each address gets so many `attempts`, with a `pause` that doubles.
    """
    failures = []
    for url in urls:
        for attempt in range(attempts):
            time.sleep(pause * 2 ** (attempt - 1) if attempt else 0)
            try:
                return _get(url, destination, max_bytes, timeout)
            except (requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
                failure, later = "is not or leads to what is not an https address; refused", False
            except requests.exceptions.RequestException as error:
                status = getattr(error.response, "status_code", None)
                failure, later = _short(error), not status or status in LATER
            except OSError as error:
                raise FergitError(f"download: {destination}: cannot be written ({error.strerror or error})") from None
            if not later:
                break
        failures.append(f"download: {url}: {failure} (attempts: {attempt + 1})")
    raise FergitError("; ".join(failures))


def _get(url, destination, max_bytes, timeout):
    with requests.Session() as session:
        session.auth = lambda request: request  # no passwords from a ~/.netrc
        session.max_redirects = 5
        session.adapters.clear()
        for prefix in ALLOWED:
            session.mount(prefix, HTTPAdapter())
        with session.get(url, headers=HEADERS, stream=True, timeout=timeout) as answer:
            answer.raise_for_status()
            total, have = int(answer.headers.get("Content-Length") or 0), 0
            bar = tqdm(total=total or None, unit="B", unit_scale=True, desc=destination.name, disable=None)
            with write_atomically(destination) as file, bar:
                for block in answer.iter_content(1 << 18):
                    have += len(block)
                    if max(have, total) > max_bytes:
                        size = f"has {total:,}" if total else f"sends more than {max_bytes:,}"
                        raise FergitError(f"download: {url}: {size} bytes; at most {max_bytes:,} are allowed")
                    file.write(block)
                    bar.update(len(block))


def _short(error):
    """The innermost reason of an error of requests, in one line."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return (str(getattr(error, "reason", None) or error) or type(error).__name__).splitlines()[0][:200]
