"""evaluate.exchange.coco_json: rows by hand, round trips, the score in pycocotools, every offender
named.
"""

import contextlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evaluate.exceptions import InputError
from evaluate.exchange.coco_file import CocoNumbers
from evaluate.exchange.coco_json import (
    read_results,
    read_truth,
    write_results,
    write_truth,
)
from evaluate.metrics.coco import coco_map
from tests.oracles import detections, random_tables, truths
from tests.test_exchange_rows import SIZES, as_truth, fast, problems, saved, tables
from tests.test_tables import assert_same


def numbers_of(table):
    return CocoNumbers.of(table.image_ids, table.classes)


def test_coco_files_hold_corner_and_size_from_zero_and_numbers_of_the_ground_truth(tmp_path):
    # (10, 20, 40, 60) is 30 wide and 40 high; 30 * 40 = 1200
    truth = truths((1, 0, 10, 20, 40, 60), difficult=(0,))
    write_truth(truth, tmp_path / "gt.json")
    assert json.loads((tmp_path / "gt.json").read_text()) == {
        "info": {},
        "images": [{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "b"}],
        "annotations": [
            {
                "image_id": 2,
                "category_id": 1,
                "bbox": [10, 20, 30, 40],
                "id": 1,
                "iscrowd": 1,
                "area": 1200,
            }
        ],
        "categories": [
            {"id": 1, "name": "cat"},
            {"id": 2, "name": "dog"},
            {"id": 3, "name": "bird"},
        ],
    }
    numbers = CocoNumbers({"b": 1, "a": 2}, numbers_of(truth).classes)
    write_truth(truth, tmp_path / "sized.json", numbers, sizes=SIZES)
    assert json.loads((tmp_path / "sized.json").read_text())["images"] == [
        {"id": 1, "file_name": "b", "height": 64, "width": 96},
        {"id": 2, "file_name": "a", "height": 375, "width": 500},
    ]
    write_results(detections((1, 0, 0.5, 10, 20, 40, 60)), tmp_path / "r.json", numbers_of(truth))
    assert json.loads((tmp_path / "r.json").read_text()) == [
        {"image_id": 2, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.5}
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gt.json", "r.json", "sized.json"]


@fast
@given(tables())
def test_coco_files_come_back_bit_by_bit(tmp_path, dets):
    truth = as_truth(dets)
    write_truth(truth, tmp_path / "gt.json")
    assert_same(read_truth(tmp_path / "gt.json"), truth)
    write_results(dets, tmp_path / "r.json", CocoNumbers.read(tmp_path / "gt.json"))
    assert_same(read_results(tmp_path / "r.json", numbers_of(dets)), dets)


@pytest.mark.parametrize("seed", range(3))
def test_written_coco_files_score_in_pycocotools_what_the_tables_score(tmp_path, seed):
    dets, truth = random_tables(seed)
    moved = replace(
        dets, score=np.linspace(0.1, 0.9, len(dets))
    )  # no ties: pycocotools breaks them by the row
    truth = truth.take(np.lexsort((truth.difficult, *truth.xyxy.T[::-1])))
    write_truth(truth, tmp_path / "gt.json")
    write_results(moved, tmp_path / "r.json", CocoNumbers.read(tmp_path / "gt.json"))
    with contextlib.redirect_stdout(io.StringIO()):
        answers = COCO(tmp_path / "gt.json")
        found = COCOeval(answers, answers.loadRes(str(tmp_path / "r.json")), "bbox")
        found.evaluate()
        found.accumulate()
        found.summarize()
    assert found.stats[0] > 0
    assert list(coco_map(moved, truth).values())[:12] == [None if x < 0 else x for x in found.stats]
    again = read_results(tmp_path / "r.json", CocoNumbers.read(tmp_path / "gt.json"))
    assert coco_map(again, read_truth(tmp_path / "gt.json")) == coco_map(moved, truth)


def test_coco_images_have_the_number_they_are_named_by_or_else_their_place(tmp_path):
    assert CocoNumbers.of(["val/000139.jpg", "7.jpg"], ["b", "a"]).images == {
        "val/000139.jpg": 139,
        "7.jpg": 7,
    }
    assert CocoNumbers.of(["7.jpg", "07.jpg"], []).images == {"7.jpg": 2, "07.jpg": 1}
    assert CocoNumbers.of(["b.jpg", "7.jpg", "a"], ["b", "a"]) == CocoNumbers(
        {"b.jpg": 3, "7.jpg": 1, "a": 2}, {"b": 1, "a": 2}
    )


def test_coco_results_take_image_and_class_from_the_ground_truth_in_the_order_of_its_numbers(
    tmp_path,
):
    truth = {
        "images": [{"id": 9, "file_name": "sub/x.jpg"}, {"id": "y", "file_name": "y.jpg"}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
    }
    numbers = CocoNumbers.read(saved(tmp_path / "gt.json", truth))
    rows = [
        {"image_id": "y", "category_id": 18, "bbox": [1, 2, 3, 4], "score": 1},
        {
            "image_id": 9,
            "category_id": 3,
            "bbox": [0.5, 0, 0, 0],
            "score": 0.25,
            "segmentation": [],
        },
    ]
    dets = read_results(saved(tmp_path / "r.json", rows), numbers)
    assert (dets.image_ids, dets.classes) == (("sub/x.jpg", "y.jpg"), ("car", "dog"))
    assert (dets.image.tolist(), dets.label.tolist()) == ([1, 0], [1, 0])
    assert dets.xyxy.tolist() == [[1, 2, 4, 6], [0.5, 0, 0.5, 0]]  # 1 + 3 = 4, 2 + 4 = 6
    write_results(dets, tmp_path / "again.json", numbers)
    assert [row["image_id"] for row in json.loads((tmp_path / "again.json").read_text())] == [
        "y",
        9,
    ]


def test_coco_results_may_call_an_image_by_its_name_without_suffix(tmp_path):
    numbers = CocoNumbers({"2.jpg": 1, "b/x.jpg": 2}, {"cat": 1})  # a number goes before a name
    rows = [
        {"image_id": i, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}
        for i in ("b/x", 2, 1, "1")
    ]
    assert read_results(saved(tmp_path / "r.json", rows), numbers).image.tolist() == [1, 1, 0, 0]
    twins = CocoNumbers({"b/x.jpg": 1, "b/x.png": 2}, {"cat": 1})
    assert len(problems(read_results, tmp_path / "r.json", twins)) == 1  # b/x could be either


def test_every_bad_coco_result_is_named(tmp_path):
    good = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}
    bad = [
        {"image_id": 7},
        {"category_id": 0, "image_id": 8},
        {"bbox": [0, 0, -1, 5]},
        {"bbox": [0, 0, 5]},
        {"bbox": [0, 0, float("nan"), 5]},
        {"bbox": [0, 0, 10**400, 5]},
        {"bbox": [0, 0, "5", 5]},
        {"score": float("nan")},
        {"score": 1.5},
        {"score": True},
    ]
    path = saved(tmp_path / "r.json", [good, *({**good, **row} for row in bad), {"image_id": 1}, 3])
    faults = problems(read_results, path, numbers_of(truths()))
    number, box = "want a score from 0 to 1", "want four finite numbers for the box"
    missing = "want bbox, category_id, image_id, score"
    assert [
        (text.split(": ")[1], text.split(": ")[2])
        for text in sorted(faults, key=lambda t: int(t.split()[2][:-1]))
    ] == [
        ("result 2", "unknown image"),
        ("result 3", "unknown image, unknown class"),
        ("result 4", "the box is inside out"),
        ("result 5", box),
        ("result 6", box),
        ("result 7", box),
        ("result 8", box),
        ("result 9", number),
        ("result 10", number),
        ("result 11", number),
        ("result 12", missing),
        ("result 13", missing),
    ]
    with pytest.raises(InputError, match="; and 2 more$"):
        read_results(path, numbers_of(truths()))


def test_every_repeated_id_and_name_of_a_coco_truth_is_named(tmp_path):
    box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]}
    truth = {
        "images": [
            {"id": 1, "file_name": "x"},
            {"id": 1, "file_name": "y"},
            {"id": 2, "file_name": "y"},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 1, "name": "cat"}],
        "annotations": [{**box, "id": 5}, {**box, "id": 5}, {**box, "image_id": 4}],
    }
    path = saved(tmp_path / "gt.json", truth)
    assert problems(read_truth, path) == [
        f"{path}: images: id 1 is there 2 times",
        f"{path}: images: file_name y is there 2 times",
        f"{path}: categories: id 1 is there 2 times",
        f"{path}: categories: name cat is there 2 times",
    ]
    truth |= {"images": [{"id": 1, "file_name": "x"}], "categories": [{"id": 1, "name": "cat"}]}
    assert problems(read_truth, saved(path, truth)) == [
        f"{path}: annotation 3: unknown image: {json.dumps(truth['annotations'][2])}",
        f"{path}: annotation id 5 is there 2 times",
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[", "r.json:1: not whole JSON"),
        ("{}", "r.json: want a list of results, there is a JSON dict: is it a truth"),
        ("[" * 200_000, "r.json: "),
    ],
)
def test_a_file_that_is_no_coco_results_is_refused(tmp_path, text, wrong):
    with pytest.raises(InputError, match=wrong):
        read_results(saved(tmp_path / "r.json", text), numbers_of(truths()))


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"images": [], "categories": [{"id": 1}]}', '{"images": [], "categories": []}'],
)
def test_a_file_that_is_no_coco_truth_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="gt.json: want (images|categories|annotations), a list"):
        read_truth(saved(tmp_path / "gt.json", text))


def test_images_and_classes_without_a_coco_number_are_all_named_and_the_old_file_stays(tmp_path):
    old = saved(tmp_path / "r.json", "old")
    numbers = CocoNumbers({"b": 1, "c": 2}, {"cat": 1})
    assert problems(write_results, detections(), old, numbers) == [
        "class dog has no number",
        "class bird has no number",
        "image a has no number",
        "image c was not looked at",
    ]
    assert old.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
