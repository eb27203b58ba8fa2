import errno
import hashlib
import http.server
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from caches import assert_untouched, error_on_a_small_disk, names, read_only

from multibox.weights import download
from multibox.weights.download import DownloadError, cache_folder, fetch

CONTENT = bytes(range(256)) * 1200  # 300 KiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GOOD = f"sha256:{SHA256}"
PREFIX = f"sha256:{SHA256[:8]}"
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
LARGE = 1 << 20


class Server(http.server.ThreadingHTTPServer):
    """Answers each path with the function of that name in `answers`; remembers what was requested."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        self.requests = []

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def add(self, path, answer):
        self.answers[path] = answer
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.answers[self.path](self)

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def hang_up(self):
        self.close_connection = True
        with suppress(OSError):  # the client may have gone
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args):
        pass


def send(data=CONTENT, length=None):
    """Answers with the data, and with its length or another one."""

    def answer(handler):
        handler.head(200, Content_Length=len(data) if length is None else length)
        handler.wfile.write(data)
        if length is not None:
            handler.hang_up()

    return answer


def status(code, **headers):
    return lambda handler: handler.head(code, Content_Length=0, **headers)


def without_length(handler):
    handler.head(200, Connection="close")
    handler.wfile.write(CONTENT)
    handler.hang_up()


def chunked(end):
    def answer(handler):
        handler.head(200, Transfer_Encoding="chunked")
        handler.wfile.write(b"%x\r\n" % len(CONTENT) + CONTENT + b"\r\n" + end)
        handler.hang_up()

    return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("MULTIBOX_HOME", str(folder))
    return folder


@pytest.mark.parametrize("digest", [GOOD, PREFIX, MD5, None])
def test_a_file_is_downloaded_once(server, cache, digest):
    url = server.add("/models/a.h5", send())
    for _ in range(2):
        path = fetch(url, digest)
        assert path == cache / "a.h5" and path.read_bytes() == CONTENT
    assert server.requests == ["/models/a.h5"] and names(cache) == ["a.h5"]


def test_other_users_can_read_a_file_of_the_cache(server, cache):
    path = fetch(server.add("/a.h5", send()), GOOD)
    assert path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH) == stat.S_IRGRP | stat.S_IROTH


def test_the_progress_goes_to_stderr(server, cache, capsys):
    fetch(server.add("/a.h5", send()), GOOD)
    printed = capsys.readouterr()
    assert "100%" in printed.err and "307k/307k" in printed.err and not printed.out


@pytest.mark.parametrize("digest", [GOOD, PREFIX, MD5])
def test_a_wrong_file_is_deleted_and_both_digests_are_named(server, cache, digest):
    wrong = CONTENT[:-1] + b"!"
    url = server.add("/a.h5", send(wrong))
    with pytest.raises(DownloadError) as error:
        fetch(url, digest)
    received = hashlib.new(digest.partition(":")[0], wrong).hexdigest()
    assert f"{url}: expected {digest}, received " in str(error.value) and received in str(error.value)
    assert names(cache) == [] and "\n" not in str(error.value)


@pytest.mark.parametrize("digest", [GOOD, PREFIX, MD5])
def test_a_wrong_file_in_the_cache_is_replaced(server, cache, digest):
    cache.mkdir()
    (cache / "a.h5").write_bytes(b"wrong")
    assert fetch(server.add("/a.h5", send()), digest).read_bytes() == CONTENT
    assert names(cache) == ["a.h5"]


def test_the_error_says_that_a_wrong_file_was_in_the_cache(server, cache):
    cache.mkdir()
    (cache / "a.h5").write_bytes(b"wrong")
    with pytest.raises(
        DownloadError, match=r"a\.h5 \(the file that was there had another digest and was del"
    ):
        fetch(server.add("/a.h5", status(503)), PREFIX)
    assert names(cache) == []


@pytest.mark.parametrize("code", [404, 403, 500, 503])
def test_errors_of_the_server(server, cache, code):
    url = server.add("/a.h5", status(code))
    with pytest.raises(
        DownloadError, match=rf"/a\.h5: the server answers {code} \w+.*; .*{PREFIX}\) at .*a\.h5"
    ):
        fetch(url, PREFIX)
    assert len(server.requests) == 1 and names(cache) == []


@pytest.mark.parametrize("answer", [send(), without_length, chunked(b"0\r\n\r\n")])
def test_too_large_a_file_is_not_kept(server, cache, answer):
    url = server.add("/a.h5", answer)
    with pytest.raises(DownloadError, match=r"/a\.h5: has 307200 bytes, expected at most 307199"):
        fetch(url, GOOD, max_bytes=len(CONTENT) - 1)
    assert names(cache) == []
    assert fetch(url, GOOD, max_bytes=len(CONTENT)).read_bytes() == CONTENT


def test_the_announced_length_is_checked_before_the_content_is_read(server, cache):
    url = server.add("/a.h5", send(length=1 << 40))
    with pytest.raises(DownloadError, match="has 1099511627776 bytes"):
        fetch(url)


@pytest.mark.parametrize("answer", [send(length=len(CONTENT) + 5), chunked(b"")], ids=["length", "chunks"])
@pytest.mark.parametrize("digest", [None, GOOD])
def test_a_truncated_transfer_leaves_nothing(server, cache, answer, digest):
    url = server.add("/a.h5", answer)
    with pytest.raises(
        DownloadError, match=r"/a\.h5: broken connection: .*; without a connection, put the file"
    ):
        fetch(url, digest)
    assert names(cache) == []
    server.add("/a.h5", send())
    assert fetch(url, digest).read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_left(server, cache, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    release = threading.Event()

    def silent(handler):
        handler.head(200, Content_Length=len(CONTENT))
        handler.wfile.write(CONTENT[:1000])
        release.wait(5)

    start = time.monotonic()
    with pytest.raises(DownloadError, match="no connection: Read timed out"):
        fetch(server.add("/a.h5", silent), GOOD)
    release.set()
    assert time.monotonic() - start < 4 and names(cache) == []


@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/a.h5", "data:,a"])
def test_redirections_to_other_protocols_are_refused(server, cache, location):
    url = server.add("/a.h5", status(302, Location=location))
    with pytest.raises(DownloadError, match=f"is redirected to {location}, expected https"):
        fetch(url)
    assert names(cache) == [] and len(server.requests) == 1


def test_redirections_from_https_to_http_are_refused():
    """Calls the check itself, since the server of these tests has no certificate."""
    response = SimpleNamespace(
        raw=SimpleNamespace(), is_redirect=True, url="https://example.org/a", headers={}
    )
    for place in ("https://example.com/b", "/b"):
        response.headers["location"] = place
        download._check_response(response, LARGE)
    response.headers["location"] = "http://example.org/b"
    with pytest.raises(DownloadError, match=r"is redirected to http://example\.org/b, expected https"):
        download._check_response(response, LARGE)


def test_redirections_are_followed(server, cache):
    server.add("/there", send())
    assert fetch(server.add("/a.h5", status(302, Location="/there")), GOOD) == cache / "a.h5"
    with pytest.raises(DownloadError, match="30 redirects"):
        fetch(server.add("/b.h5", status(302, Location="/b.h5")))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "file:///etc/hostname", "a.h5"])
def test_other_protocols_are_refused(cache, url):
    with pytest.raises(DownloadError, match=f"^{url}: "):
        fetch(url)
    assert names(cache) == []


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_without_connection_the_error_quickly_says_what_to_put_where(cache, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    url, start = f"http://127.0.0.1:{closed_port()}/models/a.h5", time.monotonic()
    with pytest.raises(DownloadError) as error:
        fetch(url, GOOD)
    assert time.monotonic() - start < 5
    reason, remedy = str(error.value).removeprefix(f"{url}: ").split("; ")
    assert reason == f"no connection: [Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"
    assert remedy == f"without a connection, put the file ({GOOD}) at {cache / 'a.h5'}"
    (cache / "a.h5").write_bytes(CONTENT)
    assert fetch(url, GOOD) == cache / "a.h5"


def test_without_a_name_server_the_error_says_so(cache, monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        DownloadError, match=r"/a\.h5: no connection: [^\"]*Name or service not known\)?; with"
    ):
        fetch("https://example.org/a.h5")


def test_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIBOX_HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home"
    monkeypatch.delenv("MULTIBOX_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "multibox"


def test_a_user_without_a_home_folder(monkeypatch):
    monkeypatch.setenv("MULTIBOX_HOME", "~nosuchuser/x")
    with pytest.raises(DownloadError, match=r"cannot use ~nosuchuser/x: .*; set .*MULTIBOX_HOME"):
        fetch("http://127.0.0.1/a.h5")

    pytest.importorskip("pwd")

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.delenv("MULTIBOX_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(DownloadError, match=r"cannot use ~/\.cache/multibox: .*; set .*MULTIBOX_HOME"):
        cache_folder()


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MULTIBOX_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        DownloadError, match=r"cannot use .*file.cache.a\.h5: Not a directory; set .*MULTIBOX_HOME"
    ):
        fetch(server.add("/a.h5", send()), GOOD)
    assert server.requests == []


@pytest.mark.parametrize("digest", [None, GOOD])
def test_a_cache_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch, digest):
    """A name that is too long stands for a missing permission, which the superuser never lacks."""
    monkeypatch.setenv("MULTIBOX_HOME", str(tmp_path / ("x" * 300)))
    with pytest.raises(
        DownloadError, match=rf"cannot use .*: {os.strerror(errno.ENAMETOOLONG)}; set .*MULTIBOX_HOME"
    ):
        fetch("http://127.0.0.1/a.h5", digest)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="the superuser has all permissions")
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_cache_without_permissions_is_named(server, cache, mode):
    cache.mkdir(mode)
    with pytest.raises(
        DownloadError, match=r"cannot use .*a\.h5: [^|]*Permission denied[^|]*; set .*MULTIBOX_HOME"
    ):
        fetch(server.add("/a.h5", send()), GOOD)
    cache.chmod(0o700)
    assert server.requests == [] and names(cache) == []


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only the superuser can be another user")
def test_a_home_folder_of_somebody_else(tmp_path):
    """A container that runs as another user than its files belong to."""
    (tmp_path / "home").mkdir(0o700)
    script = """
import os, sys
import pooch, requests
from multibox.weights.download import DownloadError, fetch
os.environ["HOME"] = sys.argv[1]
os.environ.pop("MULTIBOX_HOME", None)
os.setuid(4242)
for digest in (None, "sha256:00"):
    try:
        fetch("http://127.0.0.1:1/a.h5", digest)
    except DownloadError as error:
        print(error)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "home")]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    expected = rf"cannot use {tmp_path}/home/.cache/multibox/a.h5: Permission denied; set .*MULTIBOX_HOME"
    assert len(lines) == 2 and all(re.match(expected, line) for line in lines)


def test_a_full_disk_is_named(server, cache):
    error = error_on_a_small_disk(f"fetch({server.add('/a.h5', send())!r}, {GOOD!r})")
    assert re.match(r"cannot use .*a\.h5: File too large; set .*MULTIBOX_HOME", error)
    assert names(cache) == []


@pytest.mark.parametrize("digest", [GOOD, PREFIX, MD5, None])
def test_a_read_only_cache_serves_what_is_in_it(server, cache, digest):
    cache.mkdir()
    (cache / "a.h5").write_bytes(CONTENT)
    read_only(cache)
    assert fetch(server.add("/a.h5", send()), digest) == cache / "a.h5"
    assert_untouched(cache)
    assert server.requests == []
