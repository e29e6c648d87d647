"""Published weight files: against a server on this machine, and small files of every kind."""

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torchvision.models import (
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    resnet18,
)

from evaluate.exceptions import DownloadError, InputError
from harness.recipe import Recipe
from harness.weights import catalogue, checkpoint
from harness.weights.catalogue import (
    CATALOGUE,
    PublishedFile,
    catalogue_text,
    fetch_weights,
    find_fetched,
    published_files,
    resolve_weights,
    weights_folder,
)
from harness.weights.inspection import inspect_weights, inspection_text
from models.yolov5 import YoloV5
from tests import test_data_download, test_weights
from tests.progress import Tasks
from tests.test_data_download import CONTENT, url_of

server, as_official = test_data_download.server, test_weights.as_official
TORCHVISION = {
    "resnet18": ResNet18_Weights.IMAGENET1K_V1,
    "resnet34": ResNet34_Weights.IMAGENET1K_V1,
    "resnet50": ResNet50_Weights.IMAGENET1K_V2,
    "resnet50-v1": ResNet50_Weights.IMAGENET1K_V1,
    "resnet101": ResNet101_Weights.IMAGENET1K_V2,
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of fetched files."""
    monkeypatch.setenv("HARNESS_WEIGHTS", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def published(server, monkeypatch):
    """The server, with its file /f in the catalogue under the name `f5`."""
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    row = PublishedFile("f5", "f", url_of(server), len(CONTENT), "CC0-1.0", "one MiB", sha256)
    monkeypatch.setattr(catalogue, "CATALOGUE", {"f5": row})
    return server


def test_entries_are_whole_and_torchvisions_are_what_torchvision_says():
    for name, row in CATALOGUE.items():
        assert name == row.name and re.fullmatch("[0-9a-f]{64}", row.sha256), name
        assert row.url.startswith("https://") and row.url.endswith("/" + row.file), name
    assert (
        len({row.file for row in CATALOGUE.values()})
        == len({row.sha256 for row in CATALOGUE.values()})
        == len(CATALOGUE)
    )
    for name, theirs in TORCHVISION.items():
        row = CATALOGUE[name]
        assert row.url == theirs.url and row.file.endswith(f"-{row.sha256[:8]}.pth"), name
        assert round(row.bytes / 2**20, 3) == theirs.meta["_file_size"], name
        top1 = theirs.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert f"{top1:.2f} %" in row.contents, name


def test_the_cache_folder_is_chosen_by_the_environment(cache, monkeypatch, tmp_path):
    assert weights_folder() == cache
    monkeypatch.delenv("HARNESS_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights_folder() == tmp_path / "xdg" / "detection-harness"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weights_folder() == tmp_path / ".cache" / "detection-harness"


def test_a_file_is_fetched_once_and_then_found(published, cache):
    assert find_fetched("f5") is None and published_files()["weights"][0]["path"] is None
    tasks = Tasks()
    path = fetch_weights("f5", progress=tasks)
    assert path == cache / "f" == find_fetched("f5") == fetch_weights("f5")
    assert (cache / "f").read_bytes() == CONTENT
    assert tasks.done == tasks.totals == {"fetch": len(CONTENT)}
    assert published.asked == [None]
    (row,) = published_files()["weights"]
    assert (row["path"], row["url"], row["licence"]) == (
        str(cache / "f"),
        url_of(published),
        "CC0-1.0",
    )


def test_a_fetch_goes_on_where_an_earlier_one_stopped(published, cache):
    cache.mkdir()
    (cache / "f.part").write_bytes(CONTENT[:1000])
    assert fetch_weights("f5").read_bytes() == CONTENT and published.asked == ["bytes=1000-"]


def test_another_content_is_refused_and_leaves_nothing(published, cache):
    published.files["/f"] = b"<html>moved</html>"
    with pytest.raises(
        DownloadError, match="sha256 of what came is .*; with a copy of the file: `harness weights"
    ):
        fetch_weights("f5")
    assert list(cache.iterdir()) == []


def test_without_a_network_one_line_names_the_url_and_the_way_around(published):
    url = url_of(published)
    published.shutdown()
    published.server_close()
    with pytest.raises(DownloadError) as caught:
        fetch_weights("f5")
    message = str(caught.value)
    assert message.startswith(f"{url}: ") and message.endswith(
        "`harness weights fetch f5 --from FILE`"
    ), message
    assert "\n" not in message and "placed at" not in message and message.count(url) == 1


def test_a_copy_is_checked_and_taken_without_the_network(published, cache, tmp_path):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(CONTENT)
    cache.mkdir()
    (cache / "f").write_bytes(b"damaged")
    assert fetch_weights("f5", from_file=copy).read_bytes() == CONTENT == copy.read_bytes()
    assert [path.name for path in cache.iterdir()] == ["f"] and published.asked == []


def test_a_wrong_copy_is_refused_and_changes_nothing(published, cache, tmp_path):
    cache.mkdir()
    (cache / "f.part").write_bytes(CONTENT[:1000])
    copy = tmp_path / "copy.bin"
    copy.write_bytes(CONTENT[:-1])
    with pytest.raises(
        InputError, match=r"copy.bin: sha256 of its 1,048,575 bytes is \w{64}, want \w{64} of f$"
    ):
        fetch_weights("f5", from_file=copy)
    with pytest.raises(InputError, match="nowhere: no such file; want a copy of http://.*/f$"):
        fetch_weights("f5", from_file=tmp_path / "nowhere")
    assert [path.name for path in cache.iterdir()] == ["f.part"] and (
        cache / "f.part"
    ).stat().st_size == 1000


@pytest.mark.parametrize("verb", [fetch_weights, find_fetched])
def test_an_unknown_name_lists_the_known_ones(verb):
    with pytest.raises(
        InputError, match="weights yolov9: no such name; want one of yolov5n, .*, resnet101$"
    ):
        verb("yolov9")


def test_an_existing_path_comes_before_a_name(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError) as caught:
        resolve_weights("yolov5l")
    message = (
        "weights yolov5l: not fetched yet; `harness weights fetch yolov5l` brings 89 MB (AGPL-3.0)"
    )
    assert str(caught.value) == message
    cache.mkdir()
    (cache / "yolov5l.pt").touch()
    assert resolve_weights("yolov5l") == cache / "yolov5l.pt"
    Path("yolov5l").mkdir()
    assert resolve_weights("yolov5l") == Path("yolov5l")
    assert resolve_weights("~/yolov5l") == tmp_path / "yolov5l"
    with pytest.raises(
        InputError, match="best.pt: no such file; want a run folder, .* or one of yolov5n, "
    ):
        resolve_weights("best.pt")


def test_the_list_says_name_size_licence_source_and_what_is_here(cache):
    cache.mkdir()
    (cache / "resnet50-11ad3fa6.pth").touch()
    lines = catalogue_text(published_files()).splitlines()
    here = [line for line in lines[: len(CATALOGUE)] if line[0] == "*"]
    assert [line.split()[1] for line in here] == ["resnet50"] and f"* is here, in {cache}" in lines
    assert here[0].split()[2:5] == ["98", "MB", "BSD-3-Clause"]
    assert here[0].endswith(" https://download.pytorch.org/models/resnet50-11ad3fa6.pth")


def test_the_catalogue_starts_without_torch():
    script = (
        "import sys; from harness.weights.catalogue import catalogue_text, published_files;"
        "catalogue_text(published_files());"
        "assert not {'torch', 'numba', 'cv2', 'matplotlib'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_yolov5_checkpoint_is_described(as_official, tmp_path, monkeypatch):
    path = tmp_path / "y.pt"
    model = YoloV5("n", ("person", "tv"))
    torch.save(as_official(model), path)
    inspection = inspect_weights(path)
    expected = {
        "kind": "YOLOv5 checkpoint",
        "architecture": "yolov5n",
        "dtype": "float16",
        "recipe": None,
    }
    expected |= {
        "classes": ["person", "tv"],
        "tensors": 349,
        "entry": None,
        "bytes": path.stat().st_size,
    }
    expected |= {"parameters": sum(p.numel() for p in model.parameters())}
    assert {name: inspection[name] for name in expected} == expected
    assert "not in `harness weights list`" in inspection_text(inspection)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(
        CATALOGUE, "mine", dataclasses.replace(CATALOGUE["yolov5n"], name="mine", sha256=sha256)
    )
    inspection = inspect_weights(path)
    assert (inspection["sha256"], inspection["entry"]) == (sha256, "mine")
    assert "mine: YOLOv5n v7.0, COCO, AGPL-3.0, https://github.com" in inspection_text(inspection)


def test_a_checkpoint_of_ours_is_described_with_its_recipe(tmp_path):
    classes = tuple(f"class {i}" for i in range(12))
    recipe, model = Recipe("yolov5n", head="report", image_size=320), YoloV5("n", classes)
    checkpoint.save(
        checkpoint.describe(recipe, model) | {"state": model.state_dict()}, tmp_path / "best.pt"
    )
    inspection = inspect_weights(tmp_path / "best.pt")
    assert (inspection["kind"], inspection["dtype"]) == ("checkpoint of this harness", "float32")
    assert inspection["recipe"]["image_size"] == 320
    text = inspection_text(inspection)
    assert "12 classes: class 0, " in text and "class 7, ..." in text and "class 8" not in text
    assert text.splitlines()[-1] == "  recipe: yolov5n, head report, trained at 320 pixels"


@pytest.mark.parametrize("kind", ["resnet18", "darknet53", "yolov3"])
def test_official_files_of_other_kinds_are_described(kind, tmp_path):
    path = tmp_path / "file"
    if kind == "resnet18":
        torch.save(resnet18(weights=None).state_dict(), path)
    else:
        path.write_bytes(b"\0\0\0\0\2\0\0\0")  # version 0.2
        os.truncate(path, CATALOGUE[kind].bytes)  # all zeros, and no room on the disk
    inspection = inspect_weights(path)
    backbone = kind != "yolov3"
    assert (inspection["architecture"], inspection["kind"]) == (
        kind,
        "backbone" if backbone else "Darknet weights",
    )
    assert len(inspection["classes"]) == (0 if backbone else 80) and inspection["recipe"] is None
    assert ("no classes" in inspection_text(inspection)) == backbone


FOREIGN = (
    "text",
    "empty",
    "cut",
    "cut pickle",
    "evil",
    "folder",
    "nothing",
    "tensors",
    "TorchScript",
)


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_and_damaged_files_are_one_line(as_official, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    path = Path("w.pt")
    if what == "text":
        path.write_text("hello, this is no weight file")
    elif what == "empty":
        path.touch()
    elif what == "cut":
        torch.save(as_official(YoloV5("n", ("tv",))), path)
        os.truncate(path, path.stat().st_size - 1000)
    elif what == "evil":
        torch.save({"model": test_weights.RunsACommand()}, path)
    elif what == "folder":
        path.mkdir()
    elif what == "tensors":
        torch.save({"a": torch.zeros(3), 4: None}, path)
    elif what in ("cut pickle", "TorchScript"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(
                "w/data.pkl" if what == "cut pickle" else "w/constants.pkl", b"\x80\x02}"
            )
            archive.writestr("w/version", b"3")
    with pytest.raises(InputError, match=r"^w\.pt: ") as caught:
        inspect_weights(path)
    assert "\n" not in str(caught.value) and "weights_only" not in str(caught.value)
    assert not Path("pwned").exists()
