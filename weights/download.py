"""Downloads of published files into a cache: resumed, bounded in size, verified, and whole or not there."""

import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from .digests import agrees, check_digest, digest_like
from .file_lock import locked

MAX_BYTES = 2 << 30
ATTEMPTS = 4
WAIT_SECONDS = 0.5  # before the second attempt; doubles each time
TIMEOUT_SECONDS = 30  # without a byte
_BLOCK = 1 << 16

_FILE_NAME = re.compile(r"\w[\w.+-]*", re.ASCII)
_WORTH_ANOTHER_ATTEMPT = {408, 425, 429, 500, 502, 503, 504}
_RANGE_NOT_SATISFIABLE = 416


class DownloadError(RuntimeError):
    """A file that cannot be had; the message names the URL or the path, and what to do."""


class _Interrupted(Exception):
    """The connection failed; another attempt may do better."""


def cache_folder():
    """Where downloads are kept: the environment variable MULTIBOX_HOME, or `~/.cache/multibox`."""
    return Path(os.environ.get("MULTIBOX_HOME") or "~/.cache/multibox").expanduser()


def fetch(url, digest, file_name=None, cache_dir=None, max_bytes=MAX_BYTES, progress=True):
    """The path of a published file, which is downloaded unless it is in the cache.

    A file in the cache with another digest is replaced. A download that was interrupted goes on where it
    stopped if the server allows that, also in a later call; without a digest, which would tell a file that
    changed meanwhile, it begins anew. Several processes may fetch the same file: one downloads, the others
    wait for it.

    Args:
        url: http or https. Redirections lead to http or https only, and never from https to http.
        digest: as the publisher states it: `"sha256:<64 digits>"`, `"sha256:<at least the first 8>"` or
            `"md5:<32 digits>"`; or None if the publisher states none: then only a length that the server
            announces is checked.
        file_name: name in the cache; None: the last part of the URL.
        cache_dir: folder; None: `cache_folder()`.
        max_bytes: size beyond which a download ends with an error.
        progress: whether to show a progress bar.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        DownloadError: if the file cannot be had, is too large or has another digest, or the folder cannot be
            written.
        ValueError: for another scheme, a malformed digest, or a file name that is more than a name.
    """
    check_digest(digest)
    if not _is_web(url):
        raise ValueError(f"fetch: url must begin with http:// or https://, got {url!r}")
    folder = cache_folder() if cache_dir is None else Path(cache_dir)
    target = folder / _checked_name(file_name or unquote(urlsplit(url).path).rpartition("/")[2], url)
    if _is_cached(target, digest):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(target):
            # Another process may have been faster.
            if not _is_cached(target, digest):
                _download(url, digest, target, max_bytes, progress)
    except OSError as error:  # those of the connection are not among them, see `_Interrupted`
        raise cannot_write(target, error) from error
    return target


def cannot_write(path, error):
    """The `DownloadError` for an OSError at a path of the cache."""
    return DownloadError(
        f"cannot write {path}: {error.strerror or error}; set the environment variable MULTIBOX_HOME to a "
        "folder that can be written"
    )


def _is_web(url):
    return urlsplit(url).scheme in ("http", "https")


def _checked_name(name, url):
    if not _FILE_NAME.fullmatch(name):
        raise ValueError(f"{url}: file_name must be letters, digits and . _ + -, no folder, got {name!r}")
    return name


def _is_cached(path, digest):
    return path.is_file() and (digest is None or agrees(digest_like(path, digest), digest))


def _download(url, digest, target, max_bytes, progress):
    """Makes the target; leaves a part of it only where a later call can go on from there."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        _attempt(url, digest, target, partial, max_bytes, progress)
    finally:
        if digest is None:
            partial.unlink(missing_ok=True)


def _attempt(url, digest, target, partial, max_bytes, progress):
    """Makes the target, in several attempts."""
    wait = WAIT_SECONDS
    for attempt in range(1, ATTEMPTS + 1):
        if digest is None:
            partial.unlink(missing_ok=True)
        try:
            resumed = _transfer(url, partial, max_bytes, progress)
            _verify(url, partial, digest, may_be_stale=resumed)
        except _Interrupted as error:
            if attempt == ATTEMPTS:
                raise DownloadError(_by_hand(url, target, digest, error)) from error
            time.sleep(wait)
            wait *= 2
        else:
            partial.replace(target)
            return


def _by_hand(url, target, digest, error):
    state = " (the file that is there now is another one)" if target.exists() else ""
    check = "" if digest is None else f", {digest}"
    return (
        f"{url}: {error}, in {ATTEMPTS} attempts; without a connection, put the file{check}, by hand at "
        f"{target}{state}"
    )


def _verify(url, partial, digest, may_be_stale):
    """Deletes a wrong file; one that was begun by an earlier download is given another chance."""
    received = None if digest is None else digest_like(partial, digest)
    if digest is None or agrees(received, digest):
        return
    partial.unlink()
    if may_be_stale:
        raise _Interrupted(f"the file has changed since its download began, {received} is not {digest}")
    raise DownloadError(f"{url}: expected {digest}, received {received}; the wrong file was deleted")


def _transfer(url, partial, max_bytes, progress):
    """Appends to the partial file what it lacks, or writes it anew; returns whether it was appended to."""
    start = partial.stat().st_size if partial.exists() else 0
    response = _open(url, start)
    if response is None:
        return True
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            partial.unlink(missing_ok=True)
            raise _Interrupted(f"the server sent another range than that from byte {start}")
        start = start if resumed else 0
        length = response.length  # None where it is not announced
        try:
            with (
                partial.open("ab" if resumed else "wb") as file,
                _bar(partial.stem, start, length, progress) as bar,
            ):
                _receive(response, file, start, length, max_bytes, bar)
        except DownloadError as error:
            partial.unlink(missing_ok=True)
            raise DownloadError(f"{url}: {error}") from None
    return resumed


def _bar(name, start, length, progress):
    total = None if length is None else start + length
    return tqdm(
        total=total,
        initial=start,
        desc=name,
        unit="B",
        unit_scale=True,
        disable=not progress,
        leave=False,
    )


def _receive(response, file, start, length, max_bytes, bar):
    """Writes what comes; trusts no length that was announced."""
    if length is not None and start + length > max_bytes:
        raise DownloadError(f"has {start + length} bytes, expected at most {max_bytes}")
    received = 0
    while length is None or received < length:
        block = _read(response, _BLOCK if length is None else min(_BLOCK, length - received))
        if not block:
            break
        received += len(block)
        if start + received > max_bytes:
            raise DownloadError(f"sends more than {max_bytes} bytes, the most expected")
        file.write(block)
        bar.update(len(block))
    if length is not None and received < length:
        raise _Interrupted(f"the connection ended after {start + received} of {start + length} bytes")
    if start + received == 0:
        raise DownloadError("sends an empty file")


def _read(response, count):
    """At most so many bytes, as soon as there are any; none at the end."""
    try:
        return response.read1(count)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"the connection broke: {_reason(error)}") from error


def _open(url, start):
    """The response to a request for a file from a byte on; None if the file has no more bytes than that."""
    request = urllib.request.Request(url, headers={"User-Agent": "multibox"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.build_opener(_WebOnly).open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and start:
            return None
        answer = f"the server answers {error.code} {error.reason}"
        if error.code in _WORTH_ANOTHER_ATTEMPT:
            raise _Interrupted(answer) from error
        raise DownloadError(f"{url}: {answer}") from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            raise DownloadError(f"{url}: {_reason(error)}") from error
        raise _Interrupted(f"no connection: {_reason(error)}") from error
    if response.status not in (http.client.OK, http.client.PARTIAL_CONTENT):
        response.close()
        raise DownloadError(f"{url}: the server answers {response.status} {response.reason}, expected 200")
    return response


def _reason(error):
    return str(getattr(error, "reason", None) or error) or type(error).__name__


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https only, and to https only from there."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not _is_web(newurl) or (req.type == "https" and urlsplit(newurl).scheme == "http"):
            raise DownloadError(f"{req.full_url}: is redirected to {newurl!r}, expected https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
