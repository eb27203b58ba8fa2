import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from multibox.weights import download
from multibox.weights.digests import check_digest
from multibox.weights.download import DownloadError, cache_folder, fetch

CONTENT = bytes(range(256)) * 1200  # 300 KiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GOOD = f"sha256:{SHA256}"
BAD = f"sha256:{'0' * 64}"
MAX_REQUESTS = 50


class Server(http.server.ThreadingHTTPServer):
    """Answers each path with the function of that name in `answers`; remembers what was asked and sent."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        self.requests = []  # (path, Range header)
        self.sent = []  # bytes of each body
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def add(self, path, *answers):
        """The answers to one request after the other; the last one goes on."""
        self.answers[path] = list(answers)
        return f"{self.address}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        assert len(self.server.requests) < MAX_REQUESTS
        self.server.requests.append((self.path, self.headers.get("Range")))
        answers = self.server.answers[self.path]
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, data):
        self.server.sent.append(len(data))
        self.wfile.write(data)

    def hang_up(self):
        self.close_connection = True
        with suppress(OSError):  # the client may have gone
            self.connection.shutdown(socket.SHUT_RDWR)

    def first_byte(self):
        wanted = self.headers.get("Range")
        return int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0

    def log_message(self, *args):
        pass


def send(data=CONTENT, ranges=True, cut=None, length=None):
    """Answers with the data; cuts the connection after some bytes of the body, or states another length."""

    def answer(handler):
        start = handler.first_byte() if ranges else 0
        rest = data[start:]
        headers = {"Content_Length": len(rest) if length is None else length}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        handler.head(206 if start else 200, **headers)
        handler.body(rest if cut is None else rest[:cut])
        if cut is not None or length is not None:
            handler.hang_up()

    return answer


def status(code, **headers):
    def answer(handler):
        handler.head(code, Content_Length=0, **headers)

    return answer


def without_length(data, chunked=False, cut=False):
    def answer(handler):
        handler.head(200, **({"Transfer_Encoding": "chunked"} if chunked else {"Connection": "close"}))
        if chunked:
            handler.body(b"%x\r\n" % len(data) + data + b"\r\n" + (b"" if cut else b"0\r\n\r\n"))
        else:
            handler.body(data)
        handler.hang_up()

    return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 5)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def get(url, digest, folder, **options):
    return fetch(url, digest, cache_dir=folder, progress=False, **options)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def ranges(server):
    return [wanted for _, wanted in server.requests]


@pytest.mark.parametrize(
    "digest", [GOOD, f"sha256:{SHA256[:8]}", f"md5:{hashlib.md5(CONTENT).hexdigest()}", None]
)
def test_a_file_is_downloaded_once(server, tmp_path, digest):
    url = server.add("/models/a.h5", send())
    for _ in range(2):
        path = get(url, digest, tmp_path / "cache")
        assert path == tmp_path / "cache" / "a.h5"
        assert path.read_bytes() == CONTENT
    assert server.requests == [("/models/a.h5", None)]
    assert names(tmp_path / "cache") == ["a.h5"]


def test_the_cache_folder_is_that_of_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIBOX_HOME", str(tmp_path / "home"))
    assert fetch(server.add("/a", send()), GOOD, "b.h5", progress=False) == tmp_path / "home" / "b.h5"
    monkeypatch.delenv("MULTIBOX_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "multibox"


def test_the_progress_bar_goes_to_the_end(server, tmp_path, capsys, monkeypatch):
    ends = []

    class Bar(download.tqdm):
        def close(self):
            ends.append((self.n, self.total))
            super().close()

    monkeypatch.setattr(download, "tqdm", Bar)
    fetch(server.add("/a.h5", send(cut=100_000), send()), GOOD, cache_dir=tmp_path)
    assert (100_000, 307_200) in ends and ends[-1] == (307_200, 307_200)
    printed = capsys.readouterr()
    assert "a.h5:" in printed.err and not printed.out


def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path):
    url = server.add("/a.h5", send(cut=100_000), send(cut=50_000), send())
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-"]
    assert server.sent == [100_000, 50_000, len(CONTENT) - 150_000]
    assert names(tmp_path) == ["a.h5"]


def test_a_later_call_goes_on_where_the_first_stopped(server, tmp_path):
    url = server.add("/a.h5", send(cut=100_000), *[send(cut=0)] * 3)
    with pytest.raises(DownloadError, match=r"ended after 100000 of 307200 bytes, in 4 attempts") as error:
        get(url, GOOD, tmp_path)
    assert url in str(error.value) and str(tmp_path / "a.h5") in str(error.value)
    assert names(tmp_path) == ["a.h5.partial"]
    server.add("/a.h5", send())
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT
    assert ranges(server)[-1] == "bytes=100000-" and server.sent[-1] == len(CONTENT) - 100_000
    assert names(tmp_path) == ["a.h5"]


@pytest.mark.parametrize("again", [send(ranges=False), send(ranges=False, cut=200_000)])
def test_a_server_without_ranges_sends_all_again(server, tmp_path, again):
    url = server.add("/a.h5", send(cut=100_000), again, send(ranges=False))
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT
    assert ranges(server)[:2] == [None, "bytes=100000-"]
    assert server.sent[-1] == len(CONTENT)


def test_without_digest_nothing_is_pieced_together(server, tmp_path):
    url = server.add("/a.h5", send(cut=100_000), send())
    (tmp_path / "a.h5.partial").write_bytes(b"of another day")
    assert get(url, None, tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [None, None]


def test_without_digest_nothing_is_left_of_a_download_that_fails(server, tmp_path, monkeypatch):
    url = server.add("/a.h5", send(cut=100_000))
    with pytest.raises(DownloadError, match="in 4 attempts"):
        get(url, None, tmp_path)
    assert names(tmp_path) == [] and len(server.requests) == 4

    def full(response, file, *args):
        file.write(b"a part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_receive", full)
    with pytest.raises(DownloadError, match=r"cannot write .*No space left"):
        get(url, None, tmp_path)
    assert names(tmp_path) == []


def test_another_range_than_asked_for_is_not_appended(server, tmp_path):
    def another(handler):
        handler.head(206, Content_Length=10, Content_Range=f"bytes 0-9/{len(CONTENT)}")
        handler.body(CONTENT[:10])

    url = server.add("/a.h5", send(cut=100_000), another, send())
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-", None]


def test_a_range_that_nobody_asked_for_is_no_file(server, tmp_path):
    def unasked(handler):
        handler.head(206, Content_Length=10, Content_Range=f"bytes 5-14/{len(CONTENT)}")
        handler.body(CONTENT[5:15])

    assert get(server.add("/a.h5", unasked, send()), None, tmp_path).read_bytes() == CONTENT


def test_a_complete_partial_file_only_gets_its_name(server, tmp_path):
    (tmp_path / "a.h5.partial").write_bytes(CONTENT)
    url = server.add("/a.h5", status(416))
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={len(CONTENT)}-"] and names(tmp_path) == ["a.h5"]


@pytest.mark.parametrize("stale", [b"x" * 1000, b"x" * (len(CONTENT) + 1)])
def test_a_file_that_changed_since_is_downloaded_anew(server, tmp_path, stale):
    (tmp_path / "a.h5.partial").write_bytes(stale)
    first = status(416) if len(stale) > len(CONTENT) else send()
    url = server.add("/a.h5", first, send())
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={len(stale)}-", None]


def test_a_wrong_file_is_deleted_and_both_digests_are_named(server, tmp_path):
    wrong = CONTENT[:-1] + b"!"
    url = server.add("/a.h5", send(wrong))
    with pytest.raises(DownloadError) as error:
        get(url, GOOD, tmp_path)
    received = hashlib.sha256(wrong).hexdigest()
    assert all(part in str(error.value) for part in (url, GOOD, received))
    assert "\n" not in str(error.value)
    assert names(tmp_path) == [] and len(server.requests) == 1


def test_a_wrong_file_in_the_cache_is_replaced_only_by_the_right_one(server, tmp_path):
    (tmp_path / "a.h5").write_bytes(b"mine")
    url = server.add("/a.h5", status(500))
    with pytest.raises(DownloadError, match="the file that is there now is another one"):
        get(url, GOOD, tmp_path)
    assert (tmp_path / "a.h5").read_bytes() == b"mine"
    server.add("/a.h5", send())
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("code", "requests"), [(404, 1), (403, 1), (204, 1), (500, 4), (503, 4), (429, 4)])
def test_errors_of_the_server(server, tmp_path, code, requests):
    url = server.add("/a.h5", status(code))
    with pytest.raises(DownloadError, match=f"the server answers {code}") as error:
        get(url, GOOD, tmp_path)
    assert url in str(error.value)
    assert len(server.requests) == requests and names(tmp_path) == []


def test_an_error_that_passes_does_no_harm(server, tmp_path):
    url = server.add("/a.h5", status(503), lambda handler: handler.hang_up(), send())
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answer",
    [send(), without_length(CONTENT), without_length(CONTENT, chunked=True)],
    ids=["announced", "unannounced", "chunked"],
)
def test_too_large_a_file_is_not_kept(server, tmp_path, answer):
    url = server.add("/a.h5", answer)
    with pytest.raises(DownloadError, match=r"/a\.h5: .* 307199"):
        get(url, GOOD, tmp_path, max_bytes=len(CONTENT) - 1)
    assert names(tmp_path) == [] and len(server.requests) == 1
    assert get(url, GOOD, tmp_path, max_bytes=len(CONTENT)).read_bytes() == CONTENT


def test_the_bound_holds_for_what_a_resumed_download_adds_up_to(server, tmp_path):
    (tmp_path / "a.h5.partial").write_bytes(CONTENT[:200_000])
    with pytest.raises(DownloadError, match="has 307200 bytes, expected at most 300000"):
        get(server.add("/a.h5", send()), GOOD, tmp_path, max_bytes=300_000)
    assert names(tmp_path) == []


def test_an_announced_length_that_is_too_long_is_a_cut(server, tmp_path):
    url = server.add("/a.h5", send(length=len(CONTENT) + 5))
    with pytest.raises(DownloadError, match="ended after 307200 of 307205 bytes"):
        get(url, None, tmp_path)


def test_an_announced_length_that_is_too_short_gives_another_digest(server, tmp_path):
    url = server.add("/a.h5", send(length=1000))
    with pytest.raises(DownloadError, match=f"received sha256:{hashlib.sha256(CONTENT[:1000]).hexdigest()}"):
        get(url, GOOD, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("length", ["many", -5])
def test_a_length_that_is_no_length_is_not_trusted(server, tmp_path, length):
    assert get(server.add("/a.h5", send(length=length)), GOOD, tmp_path).read_bytes() == CONTENT


def test_a_cut_between_chunks_is_noticed_without_a_digest(server, tmp_path):
    url = server.add("/a.h5", without_length(CONTENT, chunked=True, cut=True))
    with pytest.raises(DownloadError, match="the connection broke"):
        get(url, None, tmp_path)


def test_an_empty_file_is_none(server, tmp_path):
    with pytest.raises(DownloadError, match="sends an empty file"):
        get(server.add("/a.h5", send(b"")), None, tmp_path)
    assert names(tmp_path) == []


def test_a_server_that_falls_silent_is_left(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    release = threading.Event()

    def silent(handler):
        handler.head(200, Content_Length=len(CONTENT))
        handler.body(CONTENT[:1000])
        release.wait(5)

    url = server.add("/a.h5", silent, send())
    begin = time.monotonic()
    assert get(url, GOOD, tmp_path).read_bytes() == CONTENT
    assert time.monotonic() - begin < 4
    release.set()
    assert ranges(server) == [None, "bytes=1000-"]


def test_redirections_are_followed_and_keep_the_range(server, tmp_path):
    there = server.add("/there", send(cut=1000), send())
    url = server.add("/a.h5", status(302, Location=there))
    assert get(url, GOOD, tmp_path) == tmp_path / "a.h5"
    assert server.requests[-1] == ("/there", "bytes=1000-")


@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/a.h5", "data:,a"])
def test_redirections_to_other_protocols_are_refused(server, tmp_path, location):
    url = server.add("/a.h5", status(302, Location=location))
    with pytest.raises(DownloadError, match=location):
        get(url, None, tmp_path)
    assert names(tmp_path) == [] and len(server.requests) == 1


def test_redirections_from_https_to_http_are_refused():
    request = download.urllib.request.Request("https://example.org/a")
    with pytest.raises(DownloadError, match=r"http://example\.org/b"):
        download._WebOnly().redirect_request(request, None, 302, "", {}, "http://example.org/b")


def test_endless_redirections_end(server, tmp_path):
    with pytest.raises(DownloadError, match="302"):
        get(server.add("/a.h5", status(302, Location="/a.h5")), None, tmp_path)


def test_without_connection_the_error_says_what_to_put_where(server, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/models/a.h5"
    with pytest.raises(DownloadError) as error:
        get(url, GOOD, tmp_path)
    assert all(part in str(error.value) for part in (url, str(tmp_path / "a.h5"), GOOD, "no connection"))
    assert "\n" not in str(error.value)
    (tmp_path / "a.h5").write_bytes(CONTENT)
    assert get(url, GOOD, tmp_path) == tmp_path / "a.h5"


def test_a_cache_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    url = server.add("/a.h5", send())
    with pytest.raises(DownloadError, match=r"cannot write .*file.*a\.h5: .*set .*MULTIBOX_HOME"):
        get(url, GOOD, tmp_path / "file" / "cache")
    assert server.requests == []


def test_a_full_disk_is_no_reason_to_try_again(server, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_receive", full)
    with pytest.raises(DownloadError, match=r"cannot write .*No space left"):
        get(server.add("/a.h5", send()), GOOD, tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["../a.h5", "a/b", "..", ".hidden", "/etc/a", "a\\b", "a\nb", "C:a"])
def test_file_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="file_name must be"):
        get("http://127.0.0.1/a", None, tmp_path, file_name=name)


def test_a_url_cannot_name_a_file_elsewhere(tmp_path):
    with pytest.raises(ValueError, match="file_name must be"):
        get("http://127.0.0.1/..%5C..%5Ca", None, tmp_path)
    with pytest.raises(ValueError, match="file_name must be"):
        get("http://127.0.0.1/", None, tmp_path)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "file:///etc/hostname", "a.h5"])
def test_other_urls_are_refused(tmp_path, url):
    with pytest.raises(ValueError, match="must begin with http"):
        get(url, None, tmp_path)


@pytest.mark.parametrize(
    "digest", [SHA256, "sha256:", "sha256:123", "md5:12345678", "sha1:12345678", GOOD.upper(), GOOD + "0", ""]
)
def test_malformed_digests_are_refused(digest):
    with pytest.raises(ValueError, match="digest must be"):
        check_digest(digest)


def slowly(handler):
    handler.head(200, Content_Length=len(CONTENT))
    for start in range(0, len(CONTENT), 100_000):
        handler.body(CONTENT[start : start + 100_000])
        time.sleep(0.1)


def test_threads_share_one_download(server, tmp_path):
    url, found = server.add("/a.h5", slowly), []
    threads = [
        threading.Thread(target=lambda: found.append(get(url, GOOD, tmp_path).read_bytes())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [CONTENT] * 4
    assert len(server.requests) == 1 and names(tmp_path) == ["a.h5"]


def test_processes_share_one_download_and_one_that_dies_blocks_nobody(server, tmp_path):
    hang = threading.Event()

    def begin_only(handler):
        handler.head(200, Content_Length=len(CONTENT))
        handler.body(CONTENT[:100_000])
        hang.wait(20)

    url = server.add("/a.h5", begin_only, send())
    code = "import sys; from multibox.weights.download import fetch; fetch(*sys.argv[1:])"
    command = [sys.executable, "-c", code, url, GOOD, "a.h5", str(tmp_path)]
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}  # the fastest to import
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    partial = tmp_path / "a.h5.partial"
    waiting = threading.Thread(target=get, args=(url, GOOD, tmp_path))
    try:
        wait_until(lambda: partial.exists() and partial.stat().st_size > 0)
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive() and len(server.requests) == 1
    finally:
        process.kill()
        process.communicate(timeout=10)
        hang.set()
    written = partial.stat().st_size
    waiting.join(10)
    assert (tmp_path / "a.h5").read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={written}-"] and names(tmp_path) == ["a.h5"]


def wait_until(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
