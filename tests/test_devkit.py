"""evaluate.exchange.devkit: lines by hand, round trips, every offender named."""

from dataclasses import replace

import numpy as np
from hypothesis import given

from evaluate.exchange.devkit import read_devkit, write_devkit
from evaluate.exchange.yolo_txt import write_yolo
from evaluate.tables import Detections
from tests.oracles import detections
from tests.test_exchange_rows import fast, fresh, problems, saved, tables
from tests.test_tables import assert_same


def test_devkit_lines_are_inclusive_pixels_from_one(tmp_path):
    # edges (47, 239, 195, 371) are pixels 48 ... 195 and 240 ... 371
    dets = replace(
        detections((1, 1, 0.25, 47, 239, 195, 371), (0, 1, 0.5, 0, 0, 1, 1)),
        image_ids=("a.jpg", "b.JPEG"),
    )
    write_devkit(dets, tmp_path / "new" / "out")
    contents = {path.name: path.read_text() for path in (tmp_path / "new" / "out").iterdir()}
    assert contents == {
        "comp4_det_test_cat.txt": "",
        "comp4_det_test_dog.txt": "b 0.25 48.0 240.0 195.0 371.0\na 0.5 1.0 1.0 1.0 1.0\n",
        "comp4_det_test_bird.txt": "",
    }
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_devkit_files_of_others_are_read_with_ids_bare_or_whole_and_any_white_space(tmp_path):
    saved(
        tmp_path / "comp3_det_val_cat.txt", "\ufeffa.jpg\t1  48 240 195 371\r\n\r\n a 0.5 1 1 1 1"
    )
    dets = read_devkit(tmp_path, ["a.jpg"], ["cat"], prefix="comp3_det_val")
    assert dets.xyxy.tolist() == [[47, 239, 195, 371], [0, 0, 1, 1]] and dets.score.tolist() == [
        1,
        0.5,
    ]


@fast
@given(tables())
def test_devkit_files_come_back_bit_by_bit_by_class(tmp_path, dets):
    folder = fresh(tmp_path)
    write_devkit(dets, folder)
    back = read_devkit(folder, dets.image_ids, dets.classes)
    assert_same(back, dets.take(np.argsort(dets.label, kind="stable")))


def test_every_bad_devkit_line_is_named(tmp_path):
    cat = saved(
        tmp_path / "comp4_det_test_cat.txt",
        "a 0.5 1 1 5 5\na 0.5 1 1 5\nz 0.5 1 1 5 5\na nan 1 1 5 5\na 0.5 1 inf 5 5\n\na x 6 1 4 5\n"
        "a 0.5 1 1 1e39 5\n",
    )
    cow = saved(tmp_path / "comp4_det_test_cow.txt", "")
    assert problems(read_devkit, tmp_path, ["a"], ["cat", "dog"]) == [
        f"{cow}: unknown class 'cow'",
        f"{tmp_path}/comp4_det_test_dog.txt: there is no such file",
        f"{cat}:2: want image score xmin ymin xmax ymax, there is 'a 0.5 1 1 5'",
        f"{cat}:3: unknown image: z 0.5 1.0 1.0 5.0 5.0",
        f"{cat}:4: want a score from 0 to 1: a nan 1.0 1.0 5.0 5.0",
        f"{cat}:5: want four finite numbers for the box, the box is inside out: a 0.5 1.0 inf 5.0 "
        "5.0",
        f"{cat}:7: the box is inside out, want a score from 0 to 1: a nan 6.0 1.0 4.0 5.0",
        # finite, but not as float32
        f"{cat}:8: want four finite numbers for the box: a 0.5 1.0 1.0 1e+39 5.0",
    ]


def test_names_that_the_devkit_files_cannot_hold_are_all_named_and_nothing_is_written(tmp_path):
    dets = Detections((" x", "y\nz", ".jpg", "ok"), ("a/b", "c\0"), [], [], np.empty((0, 4)), [])
    assert problems(write_devkit, dets, tmp_path / "out") == [
        "image ' x': want a name that a line can hold",
        "image 'y\\nz': want a name that a line can hold",
        "image '': want a name",
        "class 'a/b': want a name that a file can have",
        "class 'c\\x00': want a name that a file can have",
    ]
    for write in (write_devkit, lambda *args: write_yolo(*args, [(5, 5)] * 4)):
        twins = replace(dets, image_ids=("x.jpg", "y.jpg", "x.png", "y"), classes=("a",))
        assert problems(write, twins, tmp_path / "out") == [
            "x.jpg and x.png would both be 'x' there",
            "y.jpg and y would both be 'y' there",
        ]
    assert not list(tmp_path.iterdir())
