"""Downloads that are whole, checked, and from where they were meant to come."""

import os
import re
import time
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from tqdm import tqdm

from fergit.core import files
from fergit.core.errors import FergitError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
REDIRECTS = 5
BLOCK = 1 << 18  # bytes
RETRY_STATUS = (408, 425, 429, 500, 502, 503, 504)


class _Retry(Exception):
    """A failure that another attempt may mend."""


def download(
    url,
    destination,
    sha256=None,
    *,
    max_bytes=1 << 30,
    timeout=(10, 30),
    deadline=3600,
    attempts=4,
    backoff=1.0,
    quiet=False,
):
    """Download a file over https; it takes its place only when it is whole and its checksum right.

    What has arrived stays beside it as ``<name>.part``. Where a checksum is given, a later call goes on from there;
    where not, only a later attempt of the same call does, if the server tells (ETag) that the file is still the same.

    Parameters
    ----------
    url : str or sequence of str
        The address, or several to try in turn (mirrors). http is allowed for this machine itself only.
    destination : path
        The file; its folder is made.
    sha256 : str, optional
        Of the whole file, 64 hexadecimal digits.
    max_bytes : int
        More is refused.
    timeout : (float, float)
        Seconds to wait for a connection, and for the next bytes.
    deadline : float
        Seconds for all of it, so that a server that drips cannot hold us.
    attempts : int
        For each address.
    backoff : float
        Seconds before the second attempt, doubled before each later one.
    quiet : bool
        No progress bar; there is none without a terminal either.

    Returns
    -------
    path
        ``destination``.

    Raises
    ------
    FergitError
        Says what went wrong, at which address. Nothing is at ``destination`` that was not there before.
    """
    destination = Path(destination)
    urls = [url] if isinstance(url, str) else list(url)
    for address in urls:
        _check_address(address)
    part = destination.with_name(destination.name + ".part")
    end = time.monotonic() + deadline
    failures = []
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if sha256 is None:
            part.unlink(missing_ok=True)
        for address in urls:
            try:
                _attempts(address, part, sha256, max_bytes, timeout, end, attempts, backoff, quiet)
                os.replace(part, destination)
                return destination
            except FergitError as error:
                failures.append(str(error))
    except OSError as error:
        raise FergitError(f"download: {destination} cannot be written ({error.strerror or error})") from None
    raise FergitError("; ".join(failures))


def _check_address(url):
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname or parts.scheme == "http" and parts.hostname in LOOPBACK:
        return
    raise FergitError(f"download: {url} is not an https address; refused")


def _attempts(url, part, sha256, max_bytes, timeout, end, attempts, backoff, quiet):
    etag = None
    for attempt in range(attempts):
        if attempt:
            wait = backoff * 2 ** (attempt - 1)
            if time.monotonic() + wait > end:
                break
            time.sleep(wait)
        try:
            if sha256 is None and etag is None:
                part.unlink(missing_ok=True)
            with requests.Session() as session:
                # A proxy and its certificates may come from the environment, but not passwords from a ~/.netrc.
                session.auth = lambda request: request
                response = _get(session, url, part, etag, timeout)
                with response:
                    etag = response.headers.get("ETag") or None
                    etag = None if (etag or "").startswith("W/") else etag
                    _receive(response, url, part, max_bytes, end, quiet)
            found = files.sha256(part) if sha256 else None
            if found != sha256:
                part.unlink()
                failure = f"its sha256 is {found}, expected {sha256}"
                continue
            return
        except _Retry as error:
            failure = str(error)
        except requests.exceptions.SSLError as error:
            raise FergitError(f"download: {url}: its certificate is not trusted ({_short(error)})") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            failure = f"no connection or cut off ({_short(error)})"
        except urllib3.exceptions.HTTPError as error:
            failure = f"cut off ({_short(error)})"
        except requests.exceptions.RequestException as error:
            raise FergitError(f"download: {url}: {_short(error)}") from None
        if time.monotonic() > end:
            break
    raise FergitError(f"download: {url}: gave up after {attempt + 1} attempts: {failure}")


def _get(session, url, part, etag, timeout):
    """Ask for what is missing, following redirects only within the scheme."""
    have = part.stat().st_size if part.exists() else 0
    # As it is stored: bytes that were packed for the way could not be resumed, nor counted.
    headers = {"Accept-Encoding": "identity", "User-Agent": "fergit"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if etag:
            headers["If-Range"] = etag
    scheme = urlsplit(url).scheme
    address = url
    for _ in range(REDIRECTS + 1):
        response = session.get(address, headers=headers, stream=True, timeout=timeout, allow_redirects=False)
        if response.status_code in (301, 302, 303, 307, 308) and "Location" in response.headers:
            address = urljoin(address, response.headers["Location"])
            response.close()
            if urlsplit(address).scheme != scheme:
                raise FergitError(f"download: {url}: leads to {address}, another scheme than {scheme}; refused")
            _check_address(address)
            continue
        if response.status_code == 416:  # we have all of it, or more than there is
            response.close()
            total = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
            if not (total and int(total[1]) == have):
                part.unlink(missing_ok=True)
                raise _Retry("the server cannot go on where it stopped")
            return response
        if response.status_code in RETRY_STATUS:
            response.close()
            raise _Retry(f"the server answers {response.status_code} {response.reason}")
        if response.status_code not in (200, 206):
            response.close()
            raise FergitError(f"download: {url}: the server answers {response.status_code} {response.reason}")
        return response
    raise FergitError(f"download: {url}: more than {REDIRECTS} redirects; refused")


def _receive(response, url, part, max_bytes, end, quiet):
    """Append the answer to the part, or begin again where the server sends all of it."""
    if response.status_code == 416:
        return
    have = 0
    if response.status_code == 206:
        have = part.stat().st_size if part.exists() else 0
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _Retry("the server sends another range than was asked for")
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if length.isdigit() else None
    if (total or 0) > max_bytes:
        raise FergitError(f"download: {url}: has {total:,} bytes; at most {max_bytes:,} are allowed")
    name = part.name.removesuffix(".part")
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=True if quiet else None)
    with open(part, "ab" if have else "wb") as file, bar:
        # What has arrived, however little: waiting for a full block would let a dripping server past the deadline.
        while block := response.raw.read1(BLOCK):
            have += len(block)
            if have > max_bytes:
                file.close()
                part.unlink()
                raise FergitError(f"download: {url}: sends more than the {max_bytes:,} bytes that are allowed")
            if time.monotonic() > end:
                raise FergitError(f"download: {url}: too slow; {have:,} bytes arrived in the time that is allowed")
            file.write(block)
            bar.update(len(block))
    if total is not None and have != total:
        raise _Retry(f"cut off after {have:,} of {total:,} bytes")


def _short(error):
    """The innermost reason of an error of requests, in one line."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = str(getattr(error, "reason", None) or error) or type(error).__name__
    return re.sub(r"^HTTPS?Connection\(.*?\): ", "", reason.splitlines()[0])[:200]
