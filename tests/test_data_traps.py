"""Data that is wrong: every fault has one message that names the file and what was wanted."""

import json
import re
import shutil

import pytest
from PIL import Image

from evaluate.exceptions import InputError
from harness.data.dataset import load_split, open_data
from tests.test_data_formats import (
    WRITE,
    write_coco,
    write_list,
    write_photo,
    write_text,
    write_voc,
    xml,
    xml_object,
)

COCO = "annotations/instances_val2017.json"


def edit_json(path, key, change):
    content = json.loads(path.read_text())
    content[key] = change(content[key])
    path.write_text(json.dumps(content))


def coco_boxes(*boxes, **fields):
    rows = [
        {"id": 7 + i, "image_id": 0, "category_id": 10, "bbox": box} | fields
        for i, box in enumerate(boxes)
    ]
    return lambda root: edit_json(root / COCO, "annotations", lambda _: rows)


def a_xml(*corners, name="cat"):
    body = "".join(xml_object(name, c) for c in corners)
    return lambda root: write_text(root / "Annotations/a.xml", xml("a.jpg", (40, 20), body))


def write(path, text):
    return lambda root: write_text(root / path, text)


def remove(path):
    return lambda root: (root / path).unlink()


def cut(path, share=0.6):
    def injure(root):
        whole = (root / path).read_bytes()
        (root / path).write_bytes(whole[: int(len(whole) * share)])

    return injure


# (format, what is done to the tiny set, what load_split says); a dot stands for any character
FAULTS = [
    ("voc", remove("JPEGImages/b.jpg"), r"val.txt:2: photo is missing: want .*b.jpg"),
    ("voc", remove("Annotations/b.xml"), r"b.xml: annotation is missing"),
    ("voc", cut("Annotations/a.xml"), r"a.xml:\d+: not whole XML"),
    (
        "voc",
        write("Annotations/a.xml", "<annotation>\n<size>\n<"),
        r"a.xml:3: not whole XML: unclosed token",
    ),
    ("voc", write("Annotations/a.xml", ""), r"a.xml:1: not whole XML: no element found"),
    ("voc", write("Annotations/a.xml", "<html></html>"), r"a.xml:1: want <annotation>"),
    (
        "voc",
        write("Annotations/a.xml", '<?xml version="1.0" encoding="klingon"?><a/>'),
        r"a.xml:1: ",
    ),
    (
        "voc",
        a_xml((1, 1, 9, 9), name="zebra"),
        r"a.xml:4: class zebra is not one of cat, dog, person",
    ),
    ("voc", a_xml((1, 1, 9, "wide")), r"a.xml:4: object without .* cat 1 1 9 wide"),
    (
        "voc",
        write("Annotations/a.xml", "<annotation>\n<object>\n</object></annotation>"),
        r"a.xml:2: object without",
    ),
    ("voc", write("JPEGImages/a.jpg", "a web page"), r"a.jpg: not a photo"),
    ("voc", write("ImageSets/Main/val.txt", "a\nb\na\n"), r"val.txt:3: a is listed twice"),
    ("voc", write("ImageSets/Main/val.txt", "\n"), r"split val lists no photo"),
    ("voc", write("classes.txt", "cat\ncat\n"), r"classes.txt: want one class per line, each once"),
    ("voc", write("classes.txt", ""), r"classes.txt: want one class per line.*found none"),
    ("list", write("val.txt", "a.jpg 1 1 9 9 3\n"), r"val.txt:1: class 3 is not in 0..2"),
    ("list", write("val.txt", "a.jpg\nb.jpg 1 1 9 9 -1\n"), r"val.txt:2: class -1 is not in 0..2"),
    (
        "list",
        write("val.txt", "a.jpg\nb.jpg 1 1 9 9\n"),
        r"val.txt:2: want xmin ymin xmax ymax class.*found 1 1 9 9",
    ),
    ("list", write("val.txt", "a.jpg 1 1 9 9 0.5\n"), r"val.txt:1: want xmin"),
    (
        "list",
        write("val.txt", "a.jpg\nz.jpg\n"),
        r"val.txt:2: photo is missing: want .*JPEGImages/z.jpg",
    ),
    (
        "list",
        write("val.txt", "z.jpg\n"),
        r"no folder has the first photo listed, z.jpg; tried .*; --images",
    ),
    ("list", write("val.txt", "a.jpg\na.jpg\n"), r"val.txt:2: a.jpg is listed twice"),
    ("coco", cut(COCO), r"val2017.json:1: not whole JSON"),
    (
        "coco",
        write(COCO, "[]"),
        r"val2017.json: want images, a list of objects with file_name and id",
    ),
    ("coco", remove("val2017/b.jpg"), r"val2017.json: photo is missing: want .*b.jpg"),
    (
        "coco",
        coco_boxes([0, 0, 9, 9], category_id=5),
        r"annotation 7: category_id 5 is not in categories",
    ),
    ("coco", coco_boxes([0, 0, 9, 9], image_id=5), r"annotation 7: image_id 5 is not in images"),
    ("coco", coco_boxes([0, 0, 9]), r"annotation 7: bbox is \[0, 0, 9\], want"),
    ("coco", coco_boxes(None), r"annotation 7: bbox is None, want"),
    (
        "coco",
        lambda root: edit_json(root / COCO, "images", lambda rows: rows + rows[:1]),
        r"val2017.json: images: file_name a.jpg is there 2 times",
    ),
    (
        "yolo",
        write("labels/val/a.txt", "0 .5 .5 1 1\n3 .5 .5 1 1\n"),
        r"a.txt:2: class 3 is not in 0..2",
    ),
    ("yolo", write("labels/val/a.txt", "0.5 .5 .5 1 1\n"), r"a.txt:1: class 0.5 is not in 0..2"),
    (
        "yolo",
        write("labels/val/a.txt", "0 .5 .5 1 1 .9\n"),
        r"a.txt:1: want class cx cy w h, there is '0 .5 .5 1 1 .9'",
    ),
    ("yolo", write("data.yaml", "names: [cat\n"), r"data.yaml: not YAML"),
    (
        "yolo",
        write("data.yaml", "hello"),
        r"data.yaml: want keys names, train, val, test; found str",
    ),
    (
        "yolo",
        write("data.yaml", "val: images/val\nnames: [cat, dog]\nnc: 3"),
        r"data.yaml: nc is 3, names has 2",
    ),
    (
        "yolo",
        write("data.yaml", "val: images/val\nnames: {1: cat, 2: dog}"),
        r"data.yaml: want names",
    ),
    (
        "yolo",
        write("data.yaml", "val: gone\nnames: [cat]"),
        r"data.yaml: val: want a folder or list at .*gone",
    ),
    (
        "yolo",
        write("data.yaml", "val: v.txt\nnames: [cat]"),
        r"data.yaml: val: want a folder or list at .*v.txt",
    ),
    (
        "yolo",
        lambda root: (root / "labels/val/a.txt").write_bytes(b"\xff\xfe\x00"),
        r"a.txt: want a text file in UTF-8",
    ),
]


@pytest.mark.parametrize("kind, injure, message", FAULTS)
def test_a_fault_is_refused_and_named(tmp_path, kind, injure, message):
    injure(WRITE[kind](tmp_path) or tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        load_split(tmp_path, "val")
    assert "\n" not in str(caught.value)


def test_all_faults_are_named_at_once_up_to_ten(tmp_path):
    write_voc(tmp_path, tiny={f"{i:02d}.jpg": ((8, 8), []) for i in range(30)})
    for i in range(12):
        (tmp_path / f"JPEGImages/{i:02d}.jpg").unlink()
    (tmp_path / "Annotations/20.xml").unlink()
    with pytest.raises(InputError) as caught:
        load_split(tmp_path, "val")
    message = str(caught.value)
    assert re.findall(r"want \S+/(\d\d).jpg", message) == [f"{i:02d}" for i in range(10)]
    assert message.endswith(f"; and 3 more, `harness data check {tmp_path}` lists them")
    with pytest.raises(InputError, match="and 2 more"):
        open_data(tmp_path).photos("val")


# (format, injury, boxes skipped of those written); the photo a.jpg is 40 x 20
NAN, INF = "nan", "inf"
USELESS = [
    (
        "voc",
        a_xml(
            (5, 5, 5, 9),
            (5, 5, 9, 5),
            (9, 9, 5, 12),
            (41, 1, 50, 9),
            (1, 1, NAN, 9),
            (1, 1, INF, 9),
        ),
        6,
    ),
    (
        "voc",
        a_xml((40, 20, 41, 21), (-5, 1, 0, 9), (-5, 1, 1, 9)),
        1,
    ),  # the first and last are in by one pixel
    ("list", write("val.txt", "a.jpg 5 5 5 9 0 1 1 nan 9 0 3 3 4 4 0\n"), 2),
    (
        "coco",
        coco_boxes(
            [5, 5, 0, 4], [5, 5, 4, -1], [40, 0, 5, 5], [39, 19, 5, 5], [0, float("nan"), 1, 1]
        ),
        4,
    ),
    (
        "yolo",
        write("labels/val/a.txt", "0 .5 .5 0 1\n0 1.6 .5 1 1\n0 nan .5 1 1\n0 1 1 .5 .5\n"),
        3,
    ),
]


@pytest.mark.parametrize("kind, injure, skipped", USELESS)
def test_boxes_that_enclose_nothing_are_left_out_and_listed(tmp_path, kind, injure, skipped):
    injure(WRITE[kind](tmp_path) or tmp_path)
    data = load_split(tmp_path, "val")
    assert len(data.skipped) == skipped
    for problem in data.skipped:
        assert problem.image_id == "a.jpg" and problem.severity == "warning"
        assert re.search(
            r"has no area|has NaN or infinity|lies outside the photo of 40 x 20", str(problem)
        )
    assert (data.truth.image == 0).sum() > 0 or kind == "voc"


def test_a_skipped_box_says_its_line_and_its_numbers(tmp_path):
    write_voc(tmp_path)
    a_xml((1, 1, 9, 9), (5, 6, 5, 9))(tmp_path)
    (problem,) = load_split(tmp_path, "val").skipped
    # 3 lines of head, then 5 lines an object
    assert str(problem) == f"{tmp_path}/Annotations/a.xml:9: cat box has no area: 5 6 5 9"


def test_truth_is_not_clipped(tmp_path):
    write_voc(tmp_path)
    a_xml((-4, 1, 50, 30))(tmp_path)
    assert load_split(tmp_path, "val").truth.xyxy[0].tolist() == [-5, 0, 50, 30]


def test_data_of_no_known_layout_says_what_was_tried(tmp_path):
    with pytest.raises(InputError, match=r"ImageSets/Main.*data.yaml.*json.*txt"):
        load_split(tmp_path, "val")
    with pytest.raises(InputError, match="nothing is there"):
        load_split(tmp_path / "gone", "val")
    with pytest.raises(InputError, match=r"notes.md: want a COCO .json"):
        load_split(write_text(tmp_path / "notes.md", ""), "val")
    with pytest.raises(InputError, match="want the folder of photos, nothing is there"):
        load_split(write_list(tmp_path / "list"), "val", images=tmp_path / "gone")
    with pytest.raises(InputError, match="leave --images out"):
        load_split(WRITE["yolo"](tmp_path / "yolo"), "val", images=tmp_path)


def test_a_split_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    with pytest.raises(InputError, match="no split test; there is val"):
        load_split(write_coco(tmp_path) / COCO, "test")


def test_coco_files_must_agree_on_their_categories(tmp_path):
    write_coco(tmp_path)
    shutil.copy(tmp_path / COCO, tmp_path / "annotations/instances_train2017.json")
    assert len(load_split(tmp_path, "train", images=tmp_path / "val2017").truth) == 3
    edit_json(tmp_path / COCO, "categories", lambda rows: rows + [{"id": 99, "name": "ufo"}])
    with pytest.raises(
        InputError, match="val2017.json: categories differ from those of .*train2017.json"
    ):
        load_split(tmp_path, "val")


def test_a_photo_cut_short_still_has_its_size(tmp_path):
    write_voc(tmp_path)
    write_photo(tmp_path / "JPEGImages/a.jpg", (40, 20))
    cut("JPEGImages/a.jpg", 0.9)(tmp_path)
    with (
        Image.open(tmp_path / "JPEGImages/a.jpg") as image,
        pytest.raises(OSError, match="truncated"),
    ):
        image.load()
    assert len(load_split(tmp_path, "val").truth) == 3  # the doctor decodes, the loader does not
