"""harness.convert: each format is vocabulary by its name or content, and speaks of the images of
DATA or of a truth.
"""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from evaluate.exceptions import InputError
from evaluate.exchange.coco_file import CocoNumbers
from evaluate.exchange.coco_json import write_truth
from evaluate.tables import Detections
from harness.convert import find_vocabulary, read_table, write_table
from harness.data.dataset import load_split
from tests.oracles import detections, truths
from tests.test_tables import assert_same
from tests.tiny import write_tiny_voc

TARGETS = [
    ("d.npz", None),
    ("d.json", None),
    ("d.csv", None),
    ("s.csv", "submission"),
    ("kit", "devkit"),
    ("labels", "yolo"),
]


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    return write_tiny_voc(tmp_path_factory.mktemp("voc"), train=1, val=3, test=1)


@pytest.fixture
def dets(voc):
    """What is there, found with other scores, the last photo left out; by image and falling score,
    as a submission.
    """
    truth = load_split(voc, "val").truth
    columns = (truth.image_ids, truth.classes, truth.image, truth.label, truth.xyxy)
    return Detections(*columns, np.linspace(0.75, 0.5, len(truth))).take(truth.image < 2)


def in_order(table):
    return table.take(np.lexsort((*table.xyxy.T, table.label, table.image)))


@pytest.mark.parametrize(("name", "format"), TARGETS)
def test_detections_come_back_from_every_format(tmp_path, voc, dets, name, format):
    vocabulary = find_vocabulary(voc, "val")
    if format == "submission":  # it has two decimals of a pixel and five of a score
        dets = replace(dets, score=np.full(len(dets), 0.5))
    write_table(dets, tmp_path / name, vocabulary, format=format, split="val")
    assert_same(in_order(read_table(tmp_path / name, vocabulary)), in_order(dets))
    if format == "devkit":
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            "comp4_det_val_disc.txt",
            "comp4_det_val_square.txt",
        }
    if format == "yolo":  # photos are 96 wide and 64 high
        x1, y1, x2, y2 = dets.xyxy[0].tolist()
        normalized = [
            float(word) for word in (tmp_path / name / "val0.txt").read_text().split()[1:5]
        ]
        assert normalized == [
            (x1 + x2) / 2 / 96,
            (y1 + y2) / 2 / 64,
            (x2 - x1) / 96,
            (y2 - y1) / 64,
        ]


@pytest.mark.parametrize("name", ["t.npz", "t.json", "t.csv"])
def test_a_truth_comes_back_and_can_stand_for_the_data(tmp_path, voc, dets, name):
    vocabulary = find_vocabulary(voc, "val", annotated=True)
    assert_same(vocabulary.truth, load_split(voc, "val").truth)
    write_table(vocabulary.truth, tmp_path / name, vocabulary, split="val")
    assert_same(read_table(tmp_path / name, vocabulary), vocabulary.truth)
    if name == "t.json":  # what write_tiny_voc draws
        images = json.loads((tmp_path / name).read_text())["images"]
        assert [(image["height"], image["width"]) for image in images] == [(64, 96)] * 3
    if name != "t.csv":
        alone = find_vocabulary(None, "val", truth=tmp_path / name)
        assert_same(alone.truth, vocabulary.truth)
        write_table(dets, tmp_path / "d.json", alone, split="val")
        assert_same(read_table(tmp_path / "d.json", vocabulary), dets)


def test_coco_numbers_are_those_of_the_data_where_it_has_some(tmp_path, voc, dets):
    truth = load_split(voc, "val").truth
    numbers = CocoNumbers(dict(zip(truth.image_ids, [70, 5, 6])), {"disc": 18, "square": 90})
    write_truth(truth, tmp_path / "instances_val.json", numbers)
    vocabulary = find_vocabulary(tmp_path, "val", images=voc / "JPEGImages")
    assert (
        vocabulary.numbers
        == numbers
        == find_vocabulary(None, "", truth=tmp_path / "instances_val.json").numbers
    )
    read_as_data = load_split(tmp_path, "val", images=voc / "JPEGImages").truth
    assert_same(read_table(tmp_path / "instances_val.json"), read_as_data)
    write_table(dets, tmp_path / "d.json", vocabulary, split="val")
    rows = json.loads((tmp_path / "d.json").read_text())
    assert {row["image_id"] for row in rows} == {70, 5} and {
        row["category_id"] for row in rows
    } == {18, 90}
    assert_same(read_table(tmp_path / "d.json", vocabulary), dets)


def test_results_that_do_not_list_their_images_need_the_data(tmp_path):
    (tmp_path / "r.json").write_text("[]")
    (tmp_path / "kit").mkdir()
    for path in (tmp_path / "r.json", tmp_path / "kit"):
        with pytest.raises(
            InputError, match="want --data DATA --split SPLIT or --truth, this format does not list"
        ):
            read_table(path)
    truths((0, 0, 1, 2, 3, 4)).save(tmp_path / "t.npz")
    vocabulary = find_vocabulary(None, "val", truth=tmp_path / "t.npz")
    assert read_table(tmp_path / "r.json", vocabulary).image_ids == ("a", "b")
    with pytest.raises(InputError, match="normalized coordinates: want --data"):
        write_table(detections(), tmp_path / "labels", vocabulary, format="yolo", split="val")
    with pytest.raises(InputError, match="either --data DATA --split SPLIT or --truth"):
        find_vocabulary(tmp_path, "val", truth=tmp_path / "t.npz")
    assert find_vocabulary(None, "val") is None


def test_photos_that_the_data_lacks_are_named(tmp_path, voc):
    with pytest.raises(InputError, match="DATA has no photo of 2 images, such as a, b"):
        write_table(
            detections(),
            tmp_path / "labels",
            find_vocabulary(voc, "val"),
            format="yolo",
            split="val",
        )


def test_a_folder_with_the_results_of_two_splits_is_refused(tmp_path):
    for split in ("val", "test"):
        (tmp_path / f"comp4_det_{split}_cat.txt").write_text("")
    truths().save(tmp_path / "t.npz")
    with pytest.raises(
        InputError, match="one split, there are those of comp4_det_test, comp4_det_val"
    ):
        read_table(tmp_path, find_vocabulary(None, "val", truth=tmp_path / "t.npz"))


@pytest.mark.parametrize(
    ("name", "format", "wrong"),
    [
        ("t.csv", "submission", "submission files hold detections, this is a truth"),
        ("t", "devkit", "devkit files hold detections, this is a truth"),
        (
            "t",
            None,
            "t: want a name with .npz, .json, .csv, or --format devkit or yolo for a folder",
        ),
        ("t.txt", None, "t.txt: want a name with .npz"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path, name, format, wrong):
    with pytest.raises(InputError, match=wrong):
        write_table(truths(), tmp_path / name, format=format, split="val")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_none_of_the_formats_is_refused(tmp_path):
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(InputError, match="x.txt: want a .npz, .json or .csv, or a folder"):
        read_table(tmp_path / "x.txt")
    (tmp_path / "x.npz").write_text("")
    with pytest.raises(InputError, match="x.npz: want a .npz table"):
        read_table(tmp_path / "x.npz")


def test_converting_starts_without_slow_packages():
    slow = "{'torch', 'pandas', 'numba', 'cv2', 'pycocotools'}"
    code = f"import sys, harness.convert; print(*{slow} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
