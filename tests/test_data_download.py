"""Downloads, against a server on this machine that can drop the line, ignore ranges and lie."""

import hashlib
import io
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evaluate.exceptions import DownloadError, InputError
from harness.data import download as download_module
from harness.data import voc2007
from harness.data.dataset import load_split, open_data
from harness.data.download import download
from tests.progress import Tasks
from tests.test_data_formats import write_voc

CONTENT = bytes(range(256)) * 4096  # 1 MiB
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    files: dict[str, bytes] = {}
    ranges = True
    drops: list[int] = []  # bytes after which the next replies end
    asked: list[str | None] = []  # Range header of each request


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        content = self.server.files.get(self.path)
        if content is None:
            return self.send_error(404, "not here")
        start = (
            int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.server.ranges else 0
        )
        if start >= len(content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return None
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = start + self.server.drops.pop(0) if self.server.drops else None
        self.wfile.write(content[start:stop])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download_module, "PAUSE", 0)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.files, running.drops, running.asked = {"/f": CONTENT}, [], []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def url_of(server, path="/f"):
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_file_is_fetched_checked_and_reported(server, tmp_path):
    tasks = Tasks()
    download(url_of(server), tmp_path / "new/f", md5=MD5, progress=tasks)
    assert (tmp_path / "new/f").read_bytes() == CONTENT
    assert tasks.done == tasks.totals == {"fetch": len(CONTENT)}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["f"]
    download(url_of(server), tmp_path / "new/f", md5=MD5)
    assert len(server.asked) == 1  # it was there


def test_a_dropped_connection_is_taken_up_where_it_stopped(server, tmp_path):
    server.drops = [300_000, 0, 0, 500_000]
    download(url_of(server), tmp_path / "f", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert server.asked == [None, *["bytes=300000-"] * 3, "bytes=800000-"]


def test_a_later_call_goes_on_with_what_an_earlier_one_left(server, tmp_path):
    (tmp_path / "f.part").write_bytes(CONTENT[:1000])
    download(url_of(server), tmp_path / "f", md5=MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT and server.asked == ["bytes=1000-"]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    server.drops = [5000]
    download(url_of(server), tmp_path / "f", md5=MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [CONTENT, CONTENT + b"more"])
def test_a_part_that_is_whole_or_too_long_is_settled_by_the_server(server, tmp_path, left):
    (tmp_path / "f.part").write_bytes(left)
    download(url_of(server), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_connection_that_brings_nothing_more_is_given_up_and_the_part_kept(server, tmp_path):
    server.drops = [1000, 0, 0, 0, 0, 0]
    with pytest.raises(
        DownloadError, match="the connection ended early; a copy placed at .*/f is used"
    ):
        download(url_of(server), tmp_path / "f", md5=MD5)
    assert (tmp_path / "f.part").stat().st_size == 1000 and len(server.asked) == 6


def test_a_wrong_hash_leaves_nothing_behind(server, tmp_path):
    server.files["/f"] = b"an error page"
    with pytest.raises(DownloadError, match=f"http://.*/f: md5 of what came is .*, want {MD5}"):
        download(url_of(server), tmp_path / "f", md5=MD5)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_already_there_is_named_and_not_touched(server, tmp_path):
    (tmp_path / "f").write_text("mine")
    with pytest.raises(DownloadError, match=r"/f: md5 is .*, want .*; remove the file"):
        download(url_of(server), tmp_path / "f", md5=MD5)
    assert (tmp_path / "f").read_text() == "mine" and server.asked == []


def test_a_refusal_and_a_missing_network_are_one_line(server, tmp_path):
    with pytest.raises(DownloadError, match="404 not here; a copy placed at"):
        download(url_of(server, "/gone"), tmp_path / "f")
    closed = url_of(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(
        DownloadError, match=f"{closed}: .*refused.*; a copy placed at {tmp_path}/f is used"
    ) as caught:
        download(closed, tmp_path / "f")
    assert "\n" not in str(caught.value)


def tar_of(folder, names):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            archive.add(folder / name, f"VOCdevkit/VOC2007/{name}")
    return packed.getvalue()


@pytest.fixture
def voc_site(server, tmp_path, monkeypatch):
    """Archives of the devkit's shape with two photos each."""
    packed = {}
    for name, split, photos in (
        ("trainval.tar", "trainval", ("a.jpg", "b.jpg")),
        ("test.tar", "test", ("c.jpg",)),
    ):
        root = write_voc(tmp_path / "src" / split, split, {photo: ((8, 8), []) for photo in photos})
        packed[name] = tar_of(root, ["Annotations", "JPEGImages", "ImageSets"])
    server.files = {f"/{name}": content for name, content in packed.items()}
    monkeypatch.setattr(voc2007, "SITE", url_of(server, "/"))
    monkeypatch.setattr(
        voc2007, "ARCHIVES", {n: hashlib.md5(c).hexdigest() for n, c in packed.items()}
    )
    monkeypatch.setattr(voc2007, "REPORT_VAL", 1)
    return server


def test_voc2007_is_fetched_unpacked_and_split(voc_site, tmp_path):
    out = tmp_path / "data"
    assert voc2007.fetch_voc2007(out) == out / "VOC2007"
    assert sorted(path.name for path in out.iterdir()) == ["VOC2007", "test.tar", "trainval.tar"]
    assert open_data(out).splits == ("report_train", "report_val", "test", "trainval")
    data = load_split(out, "test")
    assert data.truth.image_ids == ("c.jpg",) and len(data.truth.classes) == 20
    voc2007.fetch_voc2007(out)
    assert len(voc_site.asked) == 2  # nothing is fetched twice


def test_voc2007_uses_archives_placed_by_hand(voc_site, tmp_path):
    out = tmp_path / "data"
    out.mkdir()
    for name, content in voc_site.files.items():
        (out / name[1:]).write_bytes(content)
    voc2007.fetch_voc2007(out)
    assert voc_site.asked == [] and load_split(out, "trainval").truth.image_ids == (
        "a.jpg",
        "b.jpg",
    )


def test_the_report_split_has_the_reports_sizes_and_shares_no_photo(tmp_path):
    lists = tmp_path / "ImageSets/Main"
    lists.mkdir(parents=True)
    ids = [f"{i:06d}" for i in range(1, 9964, 2)] + [f"{i:06d}" for i in range(2, 60, 2)]
    (lists / "trainval.txt").write_text("\n".join(ids))
    assert len(ids) == 5011
    voc2007.write_report_split(tmp_path)
    train, val = ((lists / f"report_{name}.txt").read_text().split() for name in ("train", "val"))
    assert (len(train), len(val)) == (3755, 1254)
    assert len(set(train) | set(val)) == 5009 and set(train) | set(val) < set(ids)
    assert train == sorted(train) and val == sorted(val)
    ranked = sorted(ids, key=lambda i: hashlib.sha1(i.encode()).hexdigest())  # the rule, once more
    assert set(val) == set(ranked[:1254])
    with pytest.raises(InputError, match="trainval.txt: want VOC 2007's list"):
        voc2007.write_report_split(tmp_path / "elsewhere")
