"""evaluate.exchange.yolo_txt: lines by hand, round trips, every offender named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evaluate.exchange.yolo_txt import read_yolo, write_yolo
from evaluate.tables import Detections
from harness.data.dataset import load_split
from tests.oracles import detections, truths
from tests.test_exchange_rows import SIZES, fast, fresh, problems, saved, tables
from tests.test_tables import assert_same


def test_yolo_lines_are_normalized_coordinates_with_conf_last(tmp_path):
    # photo a is 500 x 375: centre ((50 + 150) / 2, (75 + 225) / 2) = (100, 150) is (0.2, 0.4) of
    # it, size (100, 150) is (0.2, 0.4) too; photo b is 96 x 64: centre (48, 16) is (0.5, 0.25),
    # size (96, 32) is (1, 0.5)
    dets = detections((0, 2, 0.75, 50, 75, 150, 225), (1, 0, 0.5, 0, 0, 96, 32))
    dets = replace(dets, image_ids=("sub/a.jpg", "b.png"))
    write_yolo(dets, tmp_path / "labels", SIZES)
    assert (tmp_path / "labels/sub/a.txt").read_text() == "2 0.2 0.4 0.2 0.4 0.75\n"
    assert (tmp_path / "labels/b.txt").read_text() == "0 0.5 0.25 1.0 0.5 0.5\n"
    assert_same(read_yolo(tmp_path / "labels", dets.image_ids, dets.classes, SIZES), dets)


def test_yolo_lines_of_a_truth_have_no_conf_and_the_harness_reads_them(tmp_path):
    truth = replace(
        truths((1, 2, 3.5, 7, 77, 40), (0, 0, 10, 20, 30, 47)), image_ids=("a.png", "b.png")
    )
    (tmp_path / "images").mkdir()
    for name, (height, width) in zip(truth.image_ids, SIZES):
        Image.new("RGB", (width, height)).save(tmp_path / "images" / name)
    write_yolo(truth, tmp_path / "labels", SIZES)
    saved(tmp_path / "data.yaml", "names: [cat, dog, bird]\nval: images\n")
    assert_same(load_split(tmp_path, "val").truth, truth.take([1, 0]))


@fast
@given(
    tables(),
    st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), min_size=4, max_size=4),
)
def test_yolo_files_come_back_bit_by_bit_by_image(tmp_path, dets, sizes):
    folder, sizes = fresh(tmp_path), sizes[: len(dets.image_ids)]
    write_yolo(dets, folder, sizes)
    back = read_yolo(folder, dets.image_ids, dets.classes, sizes)
    assert_same(back, dets.take(np.argsort(dets.image, kind="stable")))


def test_a_photo_without_a_yolo_file_has_no_boxes_and_classes_txt_is_no_photo(tmp_path):
    saved(tmp_path / "b.txt", "1 0.5 0.5 0.5 0.5 0.125\n")
    saved(tmp_path / "classes.txt", "cat\ndog\n")
    dets = read_yolo(tmp_path, ["a", "b"], ["cat", "dog"], SIZES)
    assert (dets.image.tolist(), dets.label.tolist()) == ([1], [1])
    # 96 * (0.5 -+ 0.25) = 24, 72; 64 * (0.5 -+ 0.25) = 16, 48
    assert dets.xyxy.tolist() == [[24, 16, 72, 48]]


def test_every_bad_yolo_line_is_named(tmp_path):
    a = saved(
        tmp_path / "a.txt",
        "0 .5 .5 .5 .5 .5\n0 .5 .5 .5 .5\n2 .5 .5 .5 .5 .5\n0.5 .5 .5 .5 .5 .5\n-1 .5 .5 .5 .5 2\n"
        "0 .5 .5 -.5 .5 .5\n1.0 nan .5 .5 .5 .5\n0 0 .5 .5 .5 .5 .5\n",
    )
    z = saved(tmp_path / "z.txt", "nonsense")
    assert problems(read_yolo, tmp_path, ["a", "b"], ["cat", "dog"], SIZES) == [
        f"{z}: unknown image",
        f"{a}:2: want class cx cy w h conf (as YOLOv5 writes with --save-txt --save-conf), there "
        "is '0 .5 .5 .5 .5'",
        f"{a}:8: want class cx cy w h conf (as YOLOv5 writes with --save-txt --save-conf), "
        "there is '0 0 .5 .5 .5 .5 .5'",
        f"{a}:3: unknown class: 2 0.5 0.5 0.5 0.5 0.5",
        f"{a}:4: unknown class: 0.5 0.5 0.5 0.5 0.5 0.5",
        f"{a}:5: unknown class, want a score from 0 to 1: -1 0.5 0.5 0.5 0.5 2.0",
        f"{a}:6: the box is inside out: 0 0.5 0.5 -0.5 0.5 0.5",
        f"{a}:7: want four finite numbers for the box: 1.0 nan 0.5 0.5 0.5 0.5",
    ]
    (fault,) = problems(read_yolo, tmp_path / "elsewhere", ["a.jpg"], ["cat"], SIZES[:1])
    assert (
        fault == f"{tmp_path}/elsewhere: want label files such as a.txt, there is none of any image"
    )


@pytest.mark.parametrize("name", ["../x", "/x", "a//b", "a/../b", ".", "x\0"])
def test_yolo_files_stay_below_their_folder(tmp_path, name):
    dets = Detections((name,), ("cat",), [], [], np.empty((0, 4)), [])
    assert problems(write_yolo, dets, tmp_path / "out", SIZES[:1]) == [
        f"image {name!r}: want a path below a folder"
    ]
    assert not list(tmp_path.iterdir())
