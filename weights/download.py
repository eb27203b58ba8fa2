"""Downloads of published weights into a cache folder, with pooch.

pooch writes under a temporary name and moves the complete file to its place in one step. Therefore two
processes can fetch the same file without a lock, and a file in the cache is never incomplete. An interrupted
download starts from the beginning; if the process was killed, its file `tmp...` stays and can be deleted.
"""

import os
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin, urlsplit

from .. import files
from ..messages import one_line

MAX_BYTES = 2 << 30
TIMEOUT_SECONDS = (4, 30)  # to connect, between two blocks


class DownloadError(RuntimeError):
    """A file that is not available; the message names the URL or the path, and what to do."""


def cache_folder() -> Path:
    """The folder of the downloads, see `files.cache_folder`."""
    try:
        return files.cache_folder()
    except RuntimeError as error:
        raise cannot_use(os.environ.get("MULTIBOX_HOME") or "~/.cache/multibox", error) from error


def cached_path(url: str) -> Path:
    """The path at which `fetch` puts the file of a URL."""
    return cache_folder() / PurePosixPath(urlsplit(url).path).name


def fetch(url: str, digest: str | None = None, max_bytes: int = MAX_BYTES) -> Path:
    """Downloads a file into the cache, unless it is there already.

    A file in the cache that has another digest is deleted and downloaded again.

    Args:
        url: http or https; redirections lead to these only, and never from https to http.
        digest: `"sha256:<64 digits>"`, `"sha256:<the first digits>"` or `"md5:<32 digits>"`. None: only the
            length that the server announces is checked.
        max_bytes: largest size accepted.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        DownloadError: if the file is not available, is too large or has another digest, or if the cache
            cannot be read or written.
    """
    # Imported here: pooch shows its bars with tqdm.auto, which warns in a notebook without ipywidgets.
    import pooch
    import requests

    target = cached_path(url)
    name = target.name
    remedy = f"without a connection, put the file{f' ({digest})' if digest else ''} at {target}"
    try:
        if digest and target.exists() and not digest_like(target, digest).startswith(digest):
            target.unlink(missing_ok=True)
            remedy += " (the file that was there had another digest and was deleted)"
        files = pooch.Pooch(target.parent, base_url="", registry={name: None}, urls={name: url})
        files.fetch(name, downloader=partial(_download, digest=digest, max_bytes=max_bytes))
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {_reason(error)}; {remedy}") from None
    except OSError as error:
        raise cannot_use(target, error) from error
    return target


def _download(url, path, _pooch, digest, max_bytes):
    """Called by pooch with a temporary path; pooch deletes that file if this raises an error."""
    import pooch

    check = partial(_check_response, max_bytes=max_bytes)
    get = pooch.HTTPDownloader(True, chunk_size=1 << 16, timeout=TIMEOUT_SECONDS, hooks={"response": check})
    get(url, path, None)
    _check_size(url, Path(path).stat().st_size, max_bytes)
    Path(path).chmod(0o644)  # temporary files are for their owner only, a cache may be shared
    if digest and not (received := digest_like(path, digest)).startswith(digest):
        raise DownloadError(f"{url}: expected {digest}, received {received}; the wrong file was deleted")


def _check_response(response, max_bytes, **_):
    """Called by requests for each response, also for redirections, before the content is read."""
    response.raw.enforce_content_length = True  # the default of urllib3 2, not of urllib3 1
    if response.is_redirect:
        place = urljoin(response.url, response.headers["location"])
        if urlsplit(place).scheme not in {"https", urlsplit(response.url).scheme}:
            raise DownloadError(f"{response.url}: is redirected to {one_line(place, 200)}, expected https")
    _check_size(response.url, int(response.headers.get("content-length", 0)), max_bytes)


def _check_size(url, size, max_bytes):
    if size > max_bytes:
        raise DownloadError(f"{url}: has {size} bytes, expected at most {max_bytes}")


def digest_like(path, digest):
    """The digest of a file, by the algorithm of another digest and in its form."""
    import pooch

    algorithm = digest.partition(":")[0]
    return f"{algorithm}:{pooch.file_hash(str(path), algorithm)}"


def _reason(error):
    import requests

    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {one_line(error.response.reason)}"
    kind = "broken" if isinstance(error, requests.exceptions.ChunkedEncodingError) else "no"
    # requests and urllib3 wrap the cause in several exceptions, each of which repeats the URL.
    while isinstance(inner := getattr(error, "reason", None) or (error.args or [None])[-1], Exception):
        error = inner
    cause = inner if isinstance(inner, str) else str(error)
    return f"{kind} connection: {one_line(cause.rpartition(': ')[2], 200)}"


def cannot_use(path, error):
    """The `DownloadError` for a place in the cache that cannot be read or written."""
    reason = getattr(error, "strerror", None) or error.__cause__ or error  # pooch wraps a PermissionError
    remedy = "set the environment variable MULTIBOX_HOME to a folder that can be read and written"
    return DownloadError(f"cannot use {path}: {reason}; {remedy}")
