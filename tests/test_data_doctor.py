"""The doctor: a healthy set has no problems, each injury has its own, nothing makes it raise."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluate.exceptions import InputError
from harness.data.dataset import load_split
from harness.data.doctor import check_dataset
from tests.test_data_formats import (
    FORMATS,
    WRITE,
    write_photo,
    write_text,
    write_voc,
    xml,
    xml_object,
)
from tests.test_data_traps import FAULTS, a_xml, coco_boxes, cut, write

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_healthy_set_has_no_problem_and_is_counted(tmp_path, kind):
    checked = check_dataset(WRITE[kind](tmp_path))
    assert checked.problems == () and checked.classes == ("cat", "dog", "person")
    val = checked.splits["val"]
    assert (val.photos, val.without_objects, val.objects, val.difficult) == (3, 1, 3, 0)
    assert val.per_class == {"cat": 1, "dog": 1, "person": 1}
    # areas 40*20 = 800, 10*10 = 100 and 32*24 = 768 are all below 32*32 = 1024; widths 10, 32, 40;
    # heights 10, 20, 24
    assert (val.small, val.medium, val.large, val.median_width, val.median_height) == (
        3,
        0,
        0,
        32,
        20,
    )


def turned_photo(root):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (40, 20)).save(root / "JPEGImages/a.jpg", exif=exif)


# what is done to the tiny set, the severity, file and line of the one finding, a part of what it
# says
INJURIES = [
    (
        "voc",
        a_xml((1, 1, 9, 9), (5, 5, 5, 9)),
        "warning",
        "Annotations/a.xml",
        9,
        "cat box has no area",
    ),
    (
        "voc",
        a_xml((41, 1, 50, 9)),
        "warning",
        "Annotations/a.xml",
        4,
        "lies outside the photo of 40 x 20",
    ),
    (
        "voc",
        a_xml((0, 1, 9, 9)),
        "warning",
        "Annotations/a.xml",
        4,
        "leaves the photo of 40 x 20: 0 1 9 9",
    ),
    ("voc", a_xml((1, 1, 9, 21)), "warning", "Annotations/a.xml", 4, "leaves the photo"),
    (
        "voc",
        a_xml((1, 1, 9, 9), (1, 1, 8, 9), (1, 1, 9, 9)),
        "warning",
        "Annotations/a.xml",
        14,
        "there twice, see line 4: 1 1 9 9",
    ),
    (
        "voc",
        a_xml((1, 1, 9, 9), name="cow"),
        "error",
        "Annotations/a.xml",
        4,
        "class cow is not one of",
    ),
    (
        "voc",
        write("Annotations/a.xml", xml("a.jpg", (20, 40), "")),
        "warning",
        "Annotations/a.xml",
        None,
        "40 x 20",
    ),
    (
        "voc",
        write("Annotations/a.xml", xml("x.jpg", (40, 20), "")),
        "warning",
        "Annotations/a.xml",
        None,
        "x.jpg",
    ),
    (
        "voc",
        cut("JPEGImages/a.jpg", 0.8),
        "error",
        "JPEGImages/a.jpg",
        None,
        "cannot be decoded: image file is trunc",
    ),
    (
        "voc",
        write("JPEGImages/a.jpg", "a web page"),
        "error",
        "JPEGImages/a.jpg",
        None,
        "not a photo",
    ),
    ("voc", turned_photo, "warning", "JPEGImages/a.jpg", None, "EXIF"),
    (
        "voc",
        lambda r: shutil.copy(r / "JPEGImages/a.jpg", r / "JPEGImages/z.jpg"),
        None,
        "",
        None,
        "",
    ),  # unlisted
    (
        "list",
        write("val.txt", "a.jpg 1 1 41 20 0\nb.jpg\nc.jpg\n"),
        "warning",
        "val.txt",
        1,
        "leaves the photo",
    ),
    (
        "coco",
        coco_boxes([0, 0, 41, 9]),
        "warning",
        "annotations/instances_val2017.json",
        None,
        "annotation 7: [0, 0,",
    ),
    (
        "yolo",
        write("labels/val/a.txt", "0 .9 .5 .3 1\n"),
        "warning",
        "labels/val/a.txt",
        1,
        "leaves the photo",
    ),
    (
        "yolo",
        lambda r: (r / "labels/val/b.txt").unlink(),
        "warning",
        "labels/val/b.txt",
        None,
        "taken as a photo",
    ),
]


@pytest.mark.parametrize("kind, injure, severity, file, line, what", INJURIES)
def test_an_injury_is_found_with_its_file_and_line(
    tmp_path, kind, injure, severity, file, line, what
):
    injure(WRITE[kind](tmp_path) or tmp_path)
    problems = check_dataset(tmp_path).problems
    assert len(problems) == (severity is not None)
    for problem in problems:
        assert (problem.severity, problem.file, problem.line) == (
            severity,
            str(tmp_path / file),
            line,
        )
        assert what in str(problem)


@pytest.mark.parametrize("kind, injure, message", FAULTS)
def test_what_the_loader_refuses_the_doctor_calls_an_error(tmp_path, kind, injure, message):
    injure(WRITE[kind](tmp_path) or tmp_path)
    checked = check_dataset(tmp_path)
    assert checked.errors
    json.dumps(checked.as_dict())


def test_a_missing_photo_does_not_hide_what_else_is_wrong(tmp_path):
    write_voc(tmp_path)
    (tmp_path / "JPEGImages/a.jpg").unlink()
    a_xml((5, 5, 5, 9))(tmp_path)
    assert [problem.severity for problem in check_dataset(tmp_path).problems] == [
        "error",
        "warning",
    ]


def test_photos_in_two_splits_are_found_but_trainval_and_other_ways_to_split_are_not(tmp_path):
    write_voc(tmp_path)
    for name, stems in (
        ("train", "c"),
        ("trainval", "a b c"),
        ("report_train", "a b"),
        ("test", "b c"),
    ):
        write_text(tmp_path / f"ImageSets/Main/{name}.txt", "\n".join(stems.split()))
    write_text(tmp_path / "ImageSets/Main/val.txt", "a\nb\n")
    a_xml((5, 5, 5, 9))(tmp_path)  # in val, trainval and report_train, said once
    boxes, splits = check_dataset(tmp_path).problems
    assert (
        "no area" in boxes.what
        and splits.what == "splits test and val share 1 photos, such as b.jpg"
    )


def test_one_photo_under_two_names_is_found(tmp_path):
    write_voc(tmp_path)
    shutil.copy(tmp_path / "JPEGImages/a.jpg", tmp_path / "JPEGImages/z.jpg")
    write_text(tmp_path / "Annotations/z.xml", xml("z.jpg", (40, 20), ""))
    write_text(tmp_path / "ImageSets/Main/train.txt", "z\n")
    (problem,) = check_dataset(tmp_path).problems
    assert problem.what.startswith("the same photo as ") and problem.severity == "warning"


def test_a_png_cut_short_is_found(tmp_path):
    write_voc(tmp_path)
    write_photo(tmp_path / "JPEGImages/d.png", (64, 64))
    cut("JPEGImages/d.png", 0.5)(tmp_path)
    write_text(tmp_path / "Annotations/d.xml", xml("d.png", (64, 64), ""))
    write_text(tmp_path / "ImageSets/Main/val.txt", "d\n")
    (problem,) = check_dataset(tmp_path).problems
    assert problem.severity == "error" and "cannot be decoded" in problem.what


def test_box_sizes_are_told_by_cocos_borders(tmp_path):
    boxes = (
        (1, 1, 31, 33),
        (1, 1, 32, 32),
        (1, 1, 96, 95),
        (1, 1, 96, 96),
    )  # 1023, 1024, 9120 and 9216 pixels
    write_voc(tmp_path, tiny={"a.jpg": ((100, 100), [])})
    body = "".join(xml_object("cat", box, difficult=int(i == 0)) for i, box in enumerate(boxes))
    write_text(tmp_path / "Annotations/a.xml", xml("a.jpg", (100, 100), body))
    val = check_dataset(tmp_path).splits["val"]
    assert (val.small, val.medium, val.large, val.difficult) == (1, 2, 1, 1)


def test_the_findings_are_printed_for_people_and_for_machines(tmp_path):
    a_xml((1, 1, 9, 9), (5, 5, 5, 9))(write_voc(tmp_path) and tmp_path)
    (tmp_path / "JPEGImages/b.jpg").unlink()
    checked = check_dataset(tmp_path)
    lines = checked.lines()
    assert lines[0].split() == ["val"] and lines[1].split() == ["photos", "3"]
    assert [line.split(":")[0] for line in lines[-3:-1]] == ["error", "warning"]
    assert lines[-1] == f"{tmp_path}: 1 errors, 1 warnings"
    content = json.loads(json.dumps(checked.as_dict()))
    assert content["errors"] == 1 and content["splits"]["val"]["per_class"] == {
        "cat": 1,
        "dog": 0,
        "person": 1,
    }
    assert {"file", "line", "image_id", "what", "severity"} == set(content["problems"][0])


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.filterwarnings("ignore")  # Pillow warns of some broken headers
def test_damaged_bytes_anywhere_never_raise_anything_but_an_input_error(tmp_path, kind):
    rng = np.random.default_rng(0)
    WRITE[kind](tmp_path / "whole")
    files = sorted(
        path.relative_to(tmp_path) for path in (tmp_path / "whole").rglob("*.*") if path.is_file()
    )
    for trial in range(60):
        shutil.rmtree(tmp_path / "hurt", ignore_errors=True)
        shutil.copytree(tmp_path / "whole", tmp_path / "hurt")
        path = tmp_path / "hurt" / files[trial % len(files)].relative_to("whole")
        content = bytearray(path.read_bytes())
        for position in rng.integers(0, len(content) or 1, 3) if content else ():
            content[position] = rng.integers(256)
        path.write_bytes(content[: rng.integers(len(content) + 1)] if trial % 2 else content)
        errors = check_dataset(tmp_path / "hurt").errors
        try:
            load_split(tmp_path / "hurt", "val")
        except InputError:
            assert errors, f"{path} after {trial} trials"


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_bccd_has_two_boxes_without_area():
    checked = check_dataset(SHARED / "bccd")
    places = sorted(
        (Path(problem.file).stem, problem.line)
        for problem in checked.problems
        if "no area" in problem.what
    )
    assert places == [("BloodImage_00338", 158), ("BloodImage_00343", 50)]
    assert checked.errors == () and checked.splits["trainval"].objects == 3941
