"""The known profiles: each file to the byte, its way back, and what is wrong with a cell or row of
its kind.
"""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.exceptions import BadRows, InputError
from evaluate.tables import Detections
from submit.csv.check import check_submission
from submit.csv.formats import read_submission, write_submission
from submit.csv.profile import load_profile

SIZES = [(100, 200), (50, 50), (10, 10)]  # height, width
# a.png has a cat over its upper left quarter, and a dog; b.png a dog; c.png nothing
CAT, DOG, OTHER = (0, 0, 100, 50), (20.4, 10, 60, 90), (5, 10, 30, 50)
FILES = {
    "voc-list": (
        "id,image_id,prediction_list\n"
        "1,a.png,\"[['cat', 0.90000, 1.00, 1.00, 100.00, 50.00], ['dog', 0.50000, 21.40, 11.00, "
        '60.00, 90.00]]"\n'
        "2,b.png,\"[['dog', 0.25000, 6.00, 11.00, 30.00, 50.00]]\"\n"
        "3,c.png,[]\n"
    ),
    "open-images": (
        "ImageId,PredictionString\n"
        "a,cat 0.90000 0.000000 0.000000 0.500000 0.500000 dog 0.50000 0.102000 0.100000 0.300000 "
        "0.900000\n"
        "b,dog 0.25000 0.100000 0.200000 0.600000 1.000000\n"
        "c,\n"
    ),
    "vinbigdata": (
        "image_id,PredictionString\n"
        "a,0 0.90000 0 0 100 50 1 0.50000 20 10 60 90\n"
        "b,1 0.25000 5 10 30 50\n"
        "c,14 1 0 0 1 1\n"
    ),
    "siim": (
        "id,PredictionString\n"
        "a_image,cat 0.90000 0 0 100 50 dog 0.50000 20 10 60 90\n"
        "b_image,dog 0.25000 5 10 30 50\n"
        "c_image,none 1 0 0 1 1\n"
    ),
    "global-wheat": (
        "image_id,PredictionString\na,0.90000 0 0 100 50 0.50000 20 10 40 80\n"
        "b,0.25000 5 10 25 40\nc,\n"
    ),
    "yolo": (
        "image_id,PredictionString\n"
        "a.png,0 0.90000 0.250000 0.250000 0.500000 0.500000 1 0.50000 0.201000 0.500000 0.198000 "
        "0.800000\n"
        "b.png,1 0.25000 0.350000 0.600000 0.500000 0.800000\n"
        "c.png,\n"
    ),
}


def table(name):
    one = "class" not in load_profile(name).fields
    labels, classes = ([0, 0, 0], ("wheat",)) if one else ([0, 1, 1], ("cat", "dog"))
    return Detections(
        ("a.png", "b.png", "c.png"), classes, [0, 0, 1], labels, [CAT, DOG, OTHER], [0.9, 0.5, 0.25]
    )


def saved(tmp_path, text, name="s.csv"):
    (tmp_path / name).write_text(text, newline="", encoding="utf-8")
    return tmp_path / name


def problems(path, profile, **options):
    with pytest.raises(BadRows) as caught:
        check_submission(path, profile=profile, **options)
    return caught.value.problems


@pytest.mark.parametrize("name", FILES)
def test_the_file_to_the_byte_and_back(tmp_path, name):
    profile, dets = load_profile(name), table(name)
    write_submission(dets, tmp_path / "s.csv", profile=profile, sizes=SIZES)
    assert (tmp_path / "s.csv").read_bytes().decode() == FILES[name]
    options = {"image_ids": dets.image_ids, "profile": profile, "sizes": SIZES}
    back = read_submission(tmp_path / "s.csv", dets.classes, **options)
    assert (back.image_ids, back.classes, back.image.tolist()) == (
        dets.image_ids,
        dets.classes,
        [0, 0, 1],
    )
    assert back.label.tolist() == dets.label.tolist() and back.score.tolist() == dets.score.tolist()
    np.testing.assert_allclose(back.xyxy, dets.xyxy, atol=0.5 if profile.decimals == 0 else 1e-3)


@pytest.mark.parametrize("name", FILES)
def test_a_check_needs_neither_classes_nor_photos(tmp_path, name):
    summary = check_submission(saved(tmp_path, FILES[name]), profile=load_profile(name))
    assert (summary.rows, summary.boxes, summary.boxes_max, summary.images_without_boxes) == (
        3,
        3,
        2,
        1,
    )
    classes = {"vinbigdata": ["0", "1"], "yolo": ["0", "1"], "global-wheat": ["object"]}.get(
        name, ["cat", "dog"]
    )
    assert list(summary.boxes_per_class) == classes


def test_numbers_that_nobody_named_are_sorted_as_numbers(tmp_path):
    path = saved(tmp_path, "image_id,PredictionString\na,10 0.5 1 1 5 5 9 0.5 1 1 5 5\n")
    assert list(check_submission(path, profile=load_profile("vinbigdata")).boxes_per_class) == [
        "9",
        "10",
    ]


@pytest.mark.parametrize("name", ["open-images", "yolo"])
def test_normalized_coordinates_without_photos_are_refused(tmp_path, name):
    profile, path = load_profile(name), saved(tmp_path, FILES[name])
    for action in (
        lambda: write_submission(table(name), path, profile=profile),
        lambda: read_submission(path, profile=profile),
    ):
        with pytest.raises(
            InputError, match="boxes are normalized coordinates: want --data DATA --split SPLIT"
        ):
            action()
    assert path.read_text() == FILES[name]


@pytest.mark.parametrize(
    ("name", "cell", "wrong"),
    [
        (
            "siim",
            "opacity 0.5 1 1 5",
            "want class score xmin ymin xmax ymax a box with one blank between, there is",
        ),
        ("siim", "opacity 0.5 1 1 5  5", "with one blank between"),
        ("siim", "opacity 0.5 1 1 5 5 ", "with one blank between"),
        ("siim", "", "there is ''; an image without boxes has 'none 1 0 0 1 1'"),
        (
            "siim",
            "opacity 0.5 1 1 5 5 opacity 0.x 1 1 5 5",
            "box 2 of 2: want five numbers, there is opacity 0.x 1",
        ),
        (
            "siim",
            "opacity 1.5 1 1 5 5",
            "box 1 of 1: want a score from 0 to 1, there is opacity 1.5 1 1 5 5",
        ),
        ("siim", "opacity nan 1 1 5 5", "want a score from 0 to 1"),
        ("siim", "opacity 0.5 nan 1 5 5", "want corners in pixels"),
        ("siim", "opacity 0.5 -16777216 1 5 5", "want corners in pixels"),
        ("siim", "opacity 0.5 5 1 1 5", "want xmin <= xmax"),
        ("vinbigdata", "cat 0.5 1 1 5 5", "want the class as a whole number, there is cat 0.5"),
        ("vinbigdata", "-1 0.5 1 1 5 5", "want the class as a whole number"),
        ("global-wheat", "0.5 1 1 -5 5", "want a width and a height of 0 or more"),
        ("global-wheat", "0.5 1 1 5 -5", "want a width and a height of 0 or more"),
        ("global-wheat", "wheat 0.5 1 1 5 5", "want score xmin ymin width height a box"),
        ("open-images", "dog 0.5 0.1 0.1 0.5 1.01", "want normalized coordinates, from 0 to 1"),
        ("open-images", "dog 0.5 -0.1 0.1 0.5 1", "want normalized coordinates, from 0 to 1"),
        ("yolo", "1 0.5 0.5 0.1 -0.1 0.5", "want normalized coordinates"),
    ],
)
def test_a_bad_cell_is_named_with_its_line(tmp_path, name, cell, wrong):
    profile = load_profile(name)
    image = "a_image" if name == "siim" else "a"
    (problem,) = problems(saved(tmp_path, f"{','.join(profile.header)}\n{image},{cell}\n"), profile)
    assert problem.startswith(f"line 2, image {image}: ") and wrong in problem


def test_a_class_that_is_not_among_those_asked_for_is_unknown(tmp_path):
    path = saved(tmp_path, FILES["siim"].replace("dog", "cow"))
    assert [
        p.split(": ", 1)[1] for p in problems(path, load_profile("siim"), classes=["cat", "dog"])
    ] == [
        "box 2 of 2: unknown class, there is cow 0.50000 20 10 60 90",
        "box 1 of 1: unknown class, there is cow 0.25000 5 10 30 50",
    ]


def test_the_sample_gives_columns_order_and_the_rows_of_studies(tmp_path):
    sample = saved(
        tmp_path,
        "Id,Boxes\nb_image,x\ns_study,negative 1 0 0 1 1\na_image,x\nc_image,x\n",
        "sample.csv",
    )
    profile = load_profile("siim")
    write_submission(table("siim"), tmp_path / "s.csv", profile=profile, sample=sample)
    header, *rows = FILES["siim"].splitlines()
    study = "s_study,negative 1 0 0 1 1"
    assert (tmp_path / "s.csv").read_text().splitlines() == [
        "Id,Boxes",
        rows[1],
        study,
        rows[0],
        rows[2],
    ]
    summary = check_submission(tmp_path / "s.csv", profile=profile, sample=sample)
    assert (summary.rows, summary.boxes) == (3, 3)
    without = saved(tmp_path, "\n".join(["Id,Boxes", *rows, "t_study,x"]))
    assert problems(without, profile, sample=sample) == [
        "line 5, image t_study: unknown image",
        "image s_study has no row",
    ]


def test_a_sample_without_the_photos_suffix_says_what_helps(tmp_path):
    sample = saved(tmp_path, "id,image_id,prediction_list\n1,a,[]\n2,b,[]\n3,c,[]\n", "sample.csv")
    with pytest.raises(
        InputError,
        match="not in the table: 3, such as a, b, c; want image_suffix in a profile file?",
    ):
        write_submission(table("voc-list"), tmp_path / "s.csv", sample=sample)


def test_a_sample_of_another_shape_is_refused(tmp_path):
    sample = saved(tmp_path, FILES["siim"], "sample.csv")
    with pytest.raises(
        BadRows,
        match="line 1: want 3 columns such as id,image_id,prediction_list, there is",
    ):
        write_submission(table("voc-list"), tmp_path / "s.csv", sample=sample)
    assert not (tmp_path / "s.csv").exists()


def test_columns_in_another_order_class_codes_and_line_ends(tmp_path):
    profile = replace(
        load_profile(),
        header=("boxes", "n", "image"),
        image="image",
        cell="boxes",
        number="n",
        image_suffix="",
        fields=("ymin", "xmin", "ymax", "xmax", "class", "score"),
        classes={"dog": 7, "cat": 3},
        unit="pixels-from-0",
        decimals=1,
        line_end="\r\n",
    )
    dets = table("voc-list")
    write_submission(dets, tmp_path / "s.csv", profile=profile)
    assert (tmp_path / "s.csv").read_bytes().decode().split("\r\n") == [
        "boxes,n,image",
        '"[[0.0, 0.0, 49.0, 99.0, 3, 0.90000], [10.0, 20.4, 89.0, 59.0, 7, 0.50000]]",1,a',
        '"[[10.0, 5.0, 49.0, 29.0, 7, 0.25000]]",2,b',
        "[],3,c",
        "",
    ]
    back = read_submission(
        tmp_path / "s.csv", dets.classes, image_ids=dets.image_ids, profile=profile
    )
    assert back.label.tolist() == [0, 1, 1]
    np.testing.assert_allclose(back.xyxy, dets.xyxy, atol=1e-5)
    assert read_submission(tmp_path / "s.csv", profile=profile).classes == ("dog", "cat")
    wrong = saved(tmp_path, "boxes,n,image\n\"[[0, 0, 9, 9, '3', 0.5]]\",1,a\n")
    assert "want the class as a whole number" in problems(wrong, profile)[0]


@pytest.mark.parametrize(
    ("change", "cell"),
    [
        ({"classes": "numbers"}, "[[0, 0.90000, 1.00, 1.00, 100.00, 50.00]]"),
        (
            {"fields": ("class", "score", "ymin", "xmin", "ymax", "xmax")},
            "[['cat', 0.90000, 1.00, 1.00, 50.00, 100.00]]",
        ),
    ],
)
def test_lists_of_another_kind_are_read_as_they_are_written(tmp_path, monkeypatch, change, cell):
    monkeypatch.setattr("submit.csv.list_cells.PLENTY", 0)
    profile, dets = replace(load_profile(), **change), table("voc-list").take([0])
    write_submission(dets, tmp_path / "s.csv", profile=profile)
    assert cell in (tmp_path / "s.csv").read_text()
    assert read_submission(tmp_path / "s.csv", dets.classes, profile=profile).xyxy.tolist() == [
        list(CAT)
    ]
