"""evaluate.tables: what a table refuses, and that it survives a file."""

from dataclasses import fields, replace

import numpy as np
import pytest

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from evaluate.tables import Detections, GroundTruth, align, rank_key
from tests.oracles import detections, random_tables, reordered, truths

ROW = (0, 0, 0.5, 1, 2, 3, 4)


def assert_same(a, b):
    for f in fields(a):
        np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name), strict=True)


@pytest.mark.parametrize("table", [*random_tables(0), detections(), truths()])
def test_a_table_survives_the_file(tmp_path, table):
    table.save(tmp_path / "deep" / "t.npz")
    assert_same(type(table).load(tmp_path / "deep" / "t.npz"), table)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["t.npz"]


def test_a_table_without_images_and_classes_survives_the_file(tmp_path):
    empty = Detections((), (), [], [], np.empty((0, 4)), [])
    empty.save(tmp_path / "t.npz")
    assert_same(Detections.load(tmp_path / "t.npz"), empty)


def test_columns_take_their_own_types_from_lists():
    table = Detections(["a"], ["cat"], [0], [0], [[1, 2, 3, 4]], [1])
    assert (table.image.dtype, table.label.dtype, table.xyxy.dtype, table.score.dtype) == (
        "i4",
        "i2",
        "f4",
        "f4",
    )
    assert table.image_ids == ("a",)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "xyxy",
            [[0, 0, 5, 5], [3, 0, 2, 5]],
            r"x2 < x1 or y2 < y1 \(is it xywh\?\) in 1 rows: 1 \(b\)",
        ),
        ("xyxy", [[0, 0, np.nan, 5], [0, 0, 1, 1]], r"NaN or infinity in 1 rows: 0 \(a\)"),
        ("xyxy", [[0, 0, 1e39, 5], [0, 0, 1, 1]], "NaN or infinity"),
        ("xyxy", [[0, 0, 1], [0, 0, 1]], r"xyxy is \(2, 3\), want \(2, 4\)"),
        ("score", [0.5, 1.5], r"score is outside \[0, 1\] or NaN in 1 rows: 1 \(b\)"),
        ("score", [np.nan, -0.1], r"in 2 rows: 0 \(a\), 1 \(b\)"),
        ("score", [0.5], r"score is \(1,\), want \(2,\)"),
        ("score", [[0.5], [0.5]], r"score is \(2, 1\), want \(2,\)"),
        ("label", [0, 3], r"label is outside \[0, 3\) in 1 rows: 1 \(b\)"),
        ("label", [0, 65536], "label has values that are not int16"),
        ("label", [0, 0.5], "label has values that are not int16"),
        ("image", [0, -1], r"image is outside \[0, 2\) in 1 rows: 1 \(\?\)"),
        ("image_ids", ["a", "a"], "image_ids lists 1 names more than once, such as a"),
        ("classes", ["cat", "dog", "cat"], "classes lists 1 names more than once, such as cat"),
    ],
)
def test_a_bad_table_is_refused_with_its_rows(column, value, message):
    good = detections(ROW, (1, 0, 0.5, 1, 2, 3, 4))
    with pytest.raises(InputError, match=message):
        replace(good, **{column: value})


def test_every_kind_of_fault_is_told_at_once():
    good = detections(ROW, (1, 0, 0.5, 1, 2, 3, 4))
    with pytest.raises(InputError) as caught:
        replace(
            good,
            image_ids=("a", "a"),
            xyxy=[[0, 0, np.inf, 1], [3, 0, 2, 5]],
            label=[0, 9],
            score=[2, np.nan],
        )
    assert str(caught.value) == (
        "image_ids lists 1 names more than once, such as a; "
        "xyxy has NaN or infinity in 1 rows: 0 (a); "
        "xyxy has x2 < x1 or y2 < y1 (is it xywh?) in 1 rows: 1 (a); "
        "label is outside [0, 3) in 1 rows: 1 (a); "
        "score is outside [0, 1] or NaN in 2 rows: 0 (a), 1 (a)"
    )


@pytest.mark.parametrize("content", [b"", b"not a table", b"PK\x03\x04 cut short", b"\x93NUMPY"])
def test_another_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "t.npz").write_bytes(content)
    with pytest.raises(InputError, match="t.npz: want a .npz table"):
        Detections.load(tmp_path / "t.npz")


def test_an_array_file_and_a_pickle_are_refused(tmp_path):
    with open(tmp_path / "t.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="want a .npz table"):
        Detections.load(tmp_path / "t.npz")
    columns = {f.name: np.array([None]) for f in fields(Detections)}
    np.savez(tmp_path / "t.npz", **columns)
    with pytest.raises(InputError, match="want a .npz table"):
        Detections.load(tmp_path / "t.npz")


def test_a_damaged_column_is_refused(tmp_path):
    random_tables(0)[0].save(tmp_path / "t.npz")
    data = bytearray((tmp_path / "t.npz").read_bytes())
    data[200:260] = bytes(60)
    (tmp_path / "t.npz").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        Detections.load(tmp_path / "t.npz")


def test_truth_in_place_of_detections_is_refused_by_the_missing_column(tmp_path):
    truths().save(tmp_path / "t.npz")
    with pytest.raises(InputError, match="want a Detections table, column score is missing"):
        Detections.load(tmp_path / "t.npz")


def test_a_failed_write_leaves_the_old_file_and_no_scratch(tmp_path):
    (tmp_path / "x").write_text("old")
    with pytest.raises(KeyError), written_whole(tmp_path / "x") as scratch:
        scratch.write_text("half")
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["x"] and (tmp_path / "x").read_text() == "old"


def test_take_keeps_images_that_lose_their_boxes():
    table = detections(ROW, (1, 2, 0.9, 0, 0, 1, 1))
    assert_same(table.take(table.score > 0.7), detections((1, 2, 0.9, 0, 0, 1, 1)))
    assert_same(table.take([1, 0]), detections((1, 2, 0.9, 0, 0, 1, 1), ROW))


def test_some_images_come_in_the_order_asked_for_with_their_boxes():
    dets = detections((0, 0, 0.5, 0, 0, 1, 1), (1, 1, 0.75, 0, 0, 2, 2), (0, 0, 0.25, 0, 0, 3, 3))
    for images, expected in (
        ([1, 0], (("b", "a"), [1, 0, 1], [0.5, 0.75, 0.25])),
        ([1], (("b",), [0], [0.75])),
        ([], ((), [], [])),
    ):
        subset = dets.of_images(images)
        assert (subset.image_ids, subset.image.tolist(), subset.score.tolist()) == expected


def test_rows_by_image_are_in_table_order():
    table = detections((1, 0, 0.1, 0, 0, 1, 1), ROW, (1, 0, 0.9, 0, 0, 1, 1))
    assert [rows.tolist() for rows in table.rows_by_image()] == [[1], [0, 2]]


@pytest.mark.parametrize("seed", range(3))
def test_align_undoes_any_order_of_images_and_classes(seed):
    dets, truth = random_tables(seed)
    moved = align(reordered(dets, seed), truth)
    assert (moved.image_ids, moved.classes) == (truth.image_ids, truth.classes)
    rows = np.lexsort((*dets.xyxy.T, dets.score, dets.label, dets.image))
    moved_rows = np.lexsort((*moved.xyxy.T, moved.score, moved.label, moved.image))
    assert_same(moved.take(moved_rows), dets.take(rows))


def test_align_accepts_fewer_classes_and_names_what_does_not_fit():
    truth = truths((0, 1, 0, 0, 5, 5))
    dogs = Detections(("b", "a"), ("dog",), [1], [0], [[0, 0, 5, 5]], [1])
    assert align(dogs, truth).label == [1] and align(dogs, truth).image == [0]
    with pytest.raises(InputError, match="images that the truth does not list: 1, such as c"):
        align(replace(dogs, image_ids=("a", "b", "c")), truth)
    with pytest.raises(
        InputError, match="do not look at images that the truth lists: 1, such as b"
    ):
        align(Detections(("a",), ("dog",), [], [], np.empty((0, 4)), []), truth)
    with pytest.raises(InputError, match="classes that the truth does not have: 1, such as cow"):
        align(replace(dogs, classes=("cow",)), truth)


def test_the_rank_key_sorts_by_group_then_by_falling_score():
    group, score = np.array([1, 0, 0, 1, 0]), np.array([0.5, 0.0, 1.0, 1e-30, -0.0], np.float32)
    key = rank_key(group, score)
    assert np.argsort(key, kind="stable").tolist() == [2, 1, 4, 0, 3]
    assert key[1] == key[4]


def test_difficult_is_kept_as_a_flag():
    assert truths((0, 0, 0, 0, 1, 1), (0, 0, 0, 0, 1, 1), difficult=(1,)).difficult.tolist() == [
        False,
        True,
    ]
    assert isinstance(truths(), GroundTruth)
