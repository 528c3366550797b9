"""Downloads that are whole, and from where they were meant to come."""

import time

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from fergit.core.errors import FergitError
from fergit.core.files import write_atomically

ALLOWED = ("https://",)  # how an address must begin, and one that it redirects to
BLOCK = 1 << 18  # bytes
LATER = (408, 425, 429, 500, 502, 503, 504)  # answers after which another attempt may succeed
# As it is stored: bytes that were packed for the way could not be counted.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "fergit"}


class _Retry(Exception):
    """A failure that another attempt may mend."""


def download(urls, destination, *, max_bytes=1 << 30, timeout=(10, 30), deadline=3600, attempts=3, pause=1.0):
    """Download a file over https from the first of several addresses that has it.

    It takes its place only when it is whole; after an error, what was there is still there. `timeout` is in seconds for
    a connection and for the next bytes, `deadline` for a whole attempt, so that a server that drips cannot hold us;
    each address gets so many `attempts`, with a `pause` that doubles.
    """
    failures = []
    for url in urls:
        for attempt in range(attempts):
            time.sleep(pause * 2 ** (attempt - 1) if attempt else 0)
            try:
                return _get(url, destination, max_bytes, timeout, time.monotonic() + deadline)
            except (_Retry, requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
                failure = f"download: {url}: gave up after {attempt + 1} attempts ({_short(error)})"
            except (requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
                failure = f"download: {url}: is not or leads to what is not an https address; refused"
                break
            except requests.exceptions.RequestException as error:
                failure = f"download: {url}: {_short(error)}"
                break
            except FergitError as error:
                failure = str(error)
                break
            except OSError as error:
                raise FergitError(f"download: {destination}: cannot be written ({error.strerror or error})") from None
        failures.append(failure)
    raise FergitError("; ".join(failures))


def _get(url, destination, max_bytes, timeout, end):
    with requests.Session() as session:
        session.auth = lambda request: request  # no passwords from a ~/.netrc
        session.max_redirects = 5
        session.adapters.clear()
        for prefix in ALLOWED:
            session.mount(prefix, HTTPAdapter())
        with session.get(url, headers=HEADERS, stream=True, timeout=timeout) as answer:
            if answer.status_code != 200:
                said = f"the server answers {answer.status_code} {answer.reason}"
                raise _Retry(said) if answer.status_code in LATER else FergitError(f"download: {url}: {said}")
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
            if (total or 0) > max_bytes:
                raise FergitError(f"download: {url}: has {total:,} bytes; at most {max_bytes:,} are allowed")
            have, bar = 0, tqdm(total=total, unit="B", unit_scale=True, desc=destination.name, disable=None)
            with write_atomically(destination) as file, bar:
                while block := _read(answer):
                    have += len(block)
                    if have > max_bytes:
                        raise FergitError(f"download: {url}: sends more than the {max_bytes:,} bytes that are allowed")
                    if time.monotonic() > end:
                        raise FergitError(f"download: {url}: too slow; {have:,} bytes arrived in the time allowed")
                    file.write(block)
                    bar.update(len(block))
                if total is not None and have != total:
                    raise _Retry(f"cut off after {have:,} of {total:,} bytes")


def _read(answer):
    """What has arrived, however little: waiting for a full block would let a dripping server past the deadline."""
    try:
        return answer.raw.read1(BLOCK)
    except urllib3.exceptions.HTTPError as error:
        raise _Retry(f"cut off: {_short(error)}") from None


def _short(error):
    """The innermost reason of an error of requests, in one line."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    return (str(getattr(error, "reason", None) or error) or type(error).__name__).splitlines()[0][:200]
