"""harness.video.download against a local server that resumes, drops connections and fails."""

import gc
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("yt_dlp")

from evaluate.exceptions import InputError, JobError  # noqa: E402
from harness.video import download  # noqa: E402
from harness.video.download import fetch, is_address  # noqa: E402
from tests.progress import Tasks  # noqa: E402

pytestmark = pytest.mark.filterwarnings(  # yt-dlp leaves sockets to the garbage collector
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

VIDEO = b"\x00\x00\x00\x18ftypmp42" + np.random.default_rng(0).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Sends VIDEO at /clip.mp4.

    `faults` are statuses to answer first, `drops` is how often to hang up half way.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.drops, self.ranges, self.served = [], 0, [], 0

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/clip.mp4"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if server.faults:
            self.send_error(server.faults.pop(0))
            return
        if self.path == "/page.html":
            self.answer(200, b"<html><p>nothing to see</p></html>", "text/html")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        if asked:
            server.ranges.append(first)
        self.answer(206 if asked else 200, VIDEO[first:], "video/mp4", first)

    do_HEAD = do_GET

    def answer(self, status, body, kind, first=0):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{len(VIDEO) - 1}/{len(VIDEO)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.drops and len(body) > 100_000:
            self.server.drops -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)
        self.server.served += 1

    def log_message(self, *message):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (0.01, 0.01, 0.01))
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
    gc.collect()


def test_only_web_addresses_are_addresses():
    assert is_address("https://a.b/c") and is_address("http://a.b")
    assert not is_address("clip.mp4") and not is_address("C://clip.mp4") and not is_address("0")


def test_a_video_is_fetched_once_under_a_name_with_height_and_hash(server, tmp_path):
    path = fetch(server.address, tmp_path, height_max=480, progress=(tasks := Tasks()))
    assert path.read_bytes() == VIDEO and re.fullmatch(r"clip-480p-[0-9a-f]{10}\.mp4", path.name)
    assert tasks.totals == tasks.done == {"fetch": len(VIDEO)}
    served = server.served
    assert fetch(server.address, tmp_path, height_max=480) == path and server.served == served
    assert fetch(server.address, tmp_path, height_max=720) != path


def test_a_part_that_is_there_is_gone_on_with(server, tmp_path):
    path = fetch(server.address, tmp_path, height_max=720)
    path.unlink()
    path.with_name(path.name + ".part").write_bytes(VIDEO[:123_456])
    server.ranges.clear()
    assert fetch(server.address, tmp_path, height_max=720).read_bytes() == VIDEO
    assert 123_456 in server.ranges and [path.name for path in tmp_path.iterdir()] == [path.name]


def test_a_connection_that_drops_is_taken_up_again(server, tmp_path):
    server.drops = 2  # the first is yt-dlp's look at what it is
    assert fetch(server.address, tmp_path, height_max=720).read_bytes() == VIDEO
    assert max(server.ranges) > 0


@pytest.mark.parametrize("faults", [[503], [503, 503, 500], [429]])
def test_a_server_that_is_busy_is_asked_again_at_the_first_request_too(server, tmp_path, faults):
    server.faults = list(faults)
    assert fetch(server.address, tmp_path, height_max=720).read_bytes() == VIDEO


def test_a_server_that_stays_busy_is_named_after_four_tries(server, tmp_path):
    server.faults = [503] * 20
    with pytest.raises(JobError, match=r"clip.mp4: the server says 503") as error:
        fetch(server.address, tmp_path, height_max=720)
    assert (
        "\n" not in str(error.value)
        and 20 - len(server.faults) >= 4
        and list(tmp_path.iterdir()) == []
    )


def test_what_is_not_there_is_not_asked_for_again(server, tmp_path):
    server.faults = [404] * 20
    with pytest.raises(JobError, match="the server says 404"):
        fetch(server.address, tmp_path, height_max=720)
    assert len(server.faults) >= 17


def test_a_page_without_a_video_is_wrong_input(server, tmp_path):
    with pytest.raises(InputError, match="page.html: want a page with a video"):
        fetch(server.address.replace("clip.mp4", "page.html"), tmp_path, height_max=720)


def test_no_network_is_said_in_one_line(tmp_path, server):
    closed = server.address
    server.server_close()
    with pytest.raises(JobError, match="no connection, is there a network") as error:
        fetch(closed, tmp_path, height_max=720)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        ("GeoRestrictedError", "does not show this video in your country"),
        ("Sign in to confirm your age", "wants a login"),
        ("This video is only available for registered users", "wants a login"),
        ("Video unavailable; please report this issue on", "Video unavailable$"),
    ],
)
def test_what_a_site_refuses_is_told_apart(tmp_path, monkeypatch, raised, says):
    """The sites are played by yt-dlp's own exceptions."""
    import yt_dlp

    def refuse(self, address, *given, **options):
        kind = (
            yt_dlp.utils.GeoRestrictedError
            if raised == "GeoRestrictedError"
            else yt_dlp.utils.ExtractorError
        )
        reason = kind(raised, expected=True)
        raise yt_dlp.utils.DownloadError(f"ERROR: {raised}", (type(reason), reason, None))

    monkeypatch.setattr(yt_dlp.YoutubeDL, "extract_info", refuse)
    with pytest.raises(JobError, match=says):
        fetch("https://video.example/watch", tmp_path, height_max=720)
