"""One tiny data set written in every format, and the conventions of each worked by hand."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from evaluate.exceptions import InputError
from harness.data.dataset import load_split, load_truth, open_data
from harness.images.photo_files import find_photos

NAMES = ("cat", "dog", "person")
# photo -> (width, height) and its objects as class, xyxy
TINY = {
    "a.jpg": ((40, 20), [("dog", (0, 0, 40, 20)), ("cat", (10, 5, 20, 15))]),
    "b.jpg": ((30, 50), []),
    "c.jpg": ((64, 48), [("person", (32, 0, 64, 24))]),
}
FORMATS = ("voc", "list", "coco", "yolo")


def write_photo(path: Path, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.stem) + size[0]).integers(
        0, 255, (size[1], size[0], 3), np.uint8
    )
    assert cv2.imwrite(str(path), noise)


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def xml(name: str, size: tuple[int, int], objects: str) -> str:
    return (
        f"<annotation>\n<filename>{name}</filename>\n"
        f"<size><width>{size[0]}</width><height>{size[1]}</height>"
        f"<depth>3</depth></size>\n{objects}</annotation>\n"
    )


def xml_object(name: str, corners: tuple[float, ...], difficult: int = 0) -> str:
    box = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), corners))
    lines = (
        f"<name>{name}</name>",
        f"<difficult>{difficult}</difficult>",
        f"<bndbox>{box}</bndbox>",
    )
    return "\n".join(["<object>", *lines, "</object>\n"])


def write_voc(root: Path, split: str = "val", tiny=TINY) -> Path:
    for name, (size, objects) in tiny.items():
        write_photo(root / "JPEGImages" / name, size)
        body = "".join(xml_object(n, (x1 + 1, y1 + 1, x2, y2)) for n, (x1, y1, x2, y2) in objects)
        write_text(root / "Annotations" / f"{Path(name).stem}.xml", xml(name, size, body))
    write_text(
        root / "ImageSets/Main" / f"{split}.txt", "".join(f"{Path(name).stem}\n" for name in tiny)
    )
    write_text(root / "classes.txt", "\n".join(NAMES))
    return root


def write_list(root: Path) -> Path:
    lines = []
    for name, (size, objects) in TINY.items():
        write_photo(root / "JPEGImages" / name, size)
        rows = (f"{x1 + 1} {y1 + 1} {x2} {y2} {NAMES.index(n)}" for n, (x1, y1, x2, y2) in objects)
        lines.append(" ".join([name, *rows]) + "\n")
    write_text(root / "val.txt", "".join(lines))
    write_text(root / "classes.txt", "\n".join(NAMES))
    return root


def write_coco(
    root: Path, file: str = "annotations/instances_val2017.json", photos: str = "val2017"
) -> Path:
    content = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [
        {"id": 10 * (3 - i), "name": n} for i, n in enumerate(reversed(NAMES))
    ]  # 30, 20, 10
    for number, (name, (size, objects)) in enumerate(TINY.items()):
        write_photo(root / photos / name, size)
        content["images"].append(
            {"id": number, "file_name": name, "width": size[0], "height": size[1]}
        )
        for n, (x1, y1, x2, y2) in objects:
            row = {
                "id": len(content["annotations"]),
                "image_id": number,
                "category_id": 10 + 10 * NAMES.index(n),
            }
            content["annotations"].append(row | {"bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0})
    write_text(root / file, json.dumps(content))
    return root


def write_yolo(root: Path) -> Path:
    for name, (size, objects) in TINY.items():
        write_photo(root / "images/val" / name, size)
        (w, h), lines = size, []
        for n, (x1, y1, x2, y2) in objects:
            lines.append(
                f"{NAMES.index(n)} {(x1 + x2) / 2 / w} {(y1 + y2) / 2 / h} {(x2 - x1) / w} "
                f"{(y2 - y1) / h}\n"
            )
        write_text(root / "labels/val" / f"{Path(name).stem}.txt", "".join(lines))
    write_text(root / "data.yaml", f"path: .\nval: images/val\nnames: [{', '.join(NAMES)}]\n")
    return root


WRITE = {"voc": write_voc, "list": write_list, "coco": write_coco, "yolo": write_yolo}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_truth(tmp_path, kind):
    data = load_split(WRITE[kind](tmp_path), "val")
    assert data.truth.image_ids == ("a.jpg", "b.jpg", "c.jpg")
    assert data.truth.classes == NAMES
    assert data.truth.image.tolist() == [0, 0, 2]
    assert data.truth.label.tolist() == [1, 0, 2]
    np.testing.assert_array_equal(
        data.truth.xyxy, [[0, 0, 40, 20], [10, 5, 20, 15], [32, 0, 64, 24]]
    )
    assert not data.truth.difficult.any() and data.skipped == () and data.split == "val"
    assert [cv2.imread(str(path)).shape[:2] for path in data.photos] == [
        (20, 40),
        (50, 30),
        (48, 64),
    ]
    assert open_data(tmp_path).splits == ("val",)


@pytest.mark.parametrize("kind", FORMATS)
def test_photos_are_found_without_annotations(tmp_path, kind):
    WRITE[kind](tmp_path)
    expected = load_split(tmp_path, "val")
    shutil.rmtree(tmp_path / "Annotations", ignore_errors=True)
    shutil.rmtree(tmp_path / "labels", ignore_errors=True)
    for file in tmp_path.glob("annotations/*.json"):
        content = json.loads(file.read_text())
        file.write_text(json.dumps({key: content[key] for key in ("images", "categories")}))
    if kind == "list":
        write_text(tmp_path / "val.txt", "a.jpg\nb.jpg\nc.jpg\n")
    assert open_data(tmp_path).photos("val") == (expected.truth.image_ids, expected.photos)


def test_voc_corners_count_from_one_and_include_the_last_pixel(tmp_path):
    write_voc(tmp_path)
    # the pixel columns 3, 4, 5 (from 1) lie between the edges 2 and 5 (from 0)
    write_text(
        tmp_path / "Annotations/a.xml", xml("a.jpg", (40, 20), xml_object("cat", (3, 7, 5, 7.5)))
    )
    assert load_split(tmp_path, "val").truth.xyxy[0].tolist() == [2, 6, 5, 7.5]


def test_coco_boxes_are_corner_and_size_and_crowds_are_difficult(tmp_path):
    write_coco(tmp_path)
    file = tmp_path / "annotations/instances_val2017.json"
    content = json.loads(file.read_text())
    content["annotations"] = [
        {"id": 0, "image_id": 2, "category_id": 30, "bbox": [1.5, 2, 10, 4.25], "iscrowd": 1},
        {"id": 1, "image_id": 0, "category_id": 10, "bbox": [0, 0, 1, 1]},
    ]
    file.write_text(json.dumps(content))
    truth = load_split(tmp_path, "val").truth
    assert truth.xyxy.tolist() == [[0, 0, 1, 1], [1.5, 2, 11.5, 6.25]]  # by photo
    assert truth.difficult.tolist() == [False, True]


def test_yolo_coordinates_are_normalized_by_the_turned_photo(tmp_path):
    write_yolo(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn: 40 x 20 on file, 20 x 40 as cv2 reads it
    Image.new("RGB", (40, 20)).save(tmp_path / "images/val/a.jpg", exif=exif)
    write_text(tmp_path / "labels/val/a.txt", "0 0.5 0.25 0.5 0.25\n")
    # width 20: centre 10, half 5 -> 5..15; height 40: centre 10, half 5 -> 5..15
    assert cv2.imread(str(tmp_path / "images/val/a.jpg")).shape[:2] == (40, 20)
    assert load_split(tmp_path, "val").truth.xyxy[0].tolist() == [5, 5, 15, 15]


def test_voc_difficult_objects_are_kept_and_parts_are_not_objects(tmp_path):
    write_voc(tmp_path)
    corners = "<xmin>2</xmin><ymin>2</ymin><xmax>3</xmax><ymax>3</ymax>"
    part = f"<part><name>head</name><bndbox>{corners}</bndbox></part>"
    body = xml_object("person", (1, 1, 9, 9), difficult=1).replace("</object>", part + "</object>")
    write_text(tmp_path / "Annotations/b.xml", xml("b.jpg", (30, 50), body))
    truth = load_split(tmp_path, "val").truth
    assert truth.difficult.tolist() == [False, False, True, False]
    assert truth.xyxy[2].tolist() == [0, 0, 9, 9]


def test_voc_classes_are_vocs_twenty_or_the_names_of_all_splits(tmp_path):
    write_voc(tmp_path, "val")
    (tmp_path / "classes.txt").unlink()
    assert load_split(tmp_path, "val").truth.classes[6:8] == (
        "car",
        "cat",
    )  # cat, dog and person are VOC's
    assert len(load_split(tmp_path, "val").truth.classes) == 20
    write_photo(tmp_path / "JPEGImages/z.jpg", (9, 9))
    write_text(
        tmp_path / "Annotations/z.xml", xml("z.jpg", (9, 9), xml_object("zebra", (1, 1, 9, 9)))
    )
    write_text(tmp_path / "ImageSets/Main/train.txt", "z\n")
    for split in ("train", "val"):
        assert load_split(tmp_path, split).truth.classes == ("cat", "dog", "person", "zebra")
    write_text(tmp_path / "classes.txt", "zebra\nperson\ndog\ncat\n")
    assert load_split(tmp_path, "val").truth.classes == ("zebra", "person", "dog", "cat")


def test_a_list_file_without_classes_counts_in_voc_order(tmp_path):
    write_list(tmp_path)
    (tmp_path / "classes.txt").unlink()
    write_text(tmp_path / "val.txt", "a.jpg 9 10 38 18 6 2 3 11 28 14\n")
    truth = load_split(tmp_path / "val.txt", "val").truth
    assert [truth.classes[label] for label in truth.label] == ["car", "person"]
    assert truth.xyxy.tolist() == [[8, 9, 38, 18], [1, 2, 11, 28]]


def test_the_truth_of_a_list_file_needs_no_photos(tmp_path):
    expected = load_split(write_list(tmp_path), "val").truth
    shutil.rmtree(tmp_path / "JPEGImages")
    truth = load_truth(tmp_path / "val.txt")
    assert (truth.image_ids, truth.classes) == (expected.image_ids, expected.classes)
    for column in ("image", "label", "xyxy", "difficult"):
        np.testing.assert_array_equal(getattr(truth, column), getattr(expected, column))


@pytest.mark.parametrize(
    "lines, message",
    [
        ("a.jpg 1 1 9 9 3\n", "val.txt:1: class 3 is not in 0..2"),
        ("a.jpg 1 1 9\n", "val.txt:1: want xmin"),
        ("a.jpg\nb.jpg 5 5 5 9 0\n", "val.txt:2: cat box has no area: 5 5 5 9 0"),
        ("\n", "val.txt: want a line for each photo, the file is empty"),
        ("a.jpg\na.jpg\n", "val.txt: image_ids lists 1 names more than once, such as a.jpg"),
    ],
)
def test_a_list_file_that_is_wrong_is_no_truth(tmp_path, lines, message):
    write_text(tmp_path / "classes.txt", "\n".join(NAMES))
    with pytest.raises(InputError, match=message):
        load_truth(write_text(tmp_path / "val.txt", lines))


def test_the_photo_is_named_by_its_file_not_by_the_annotation(tmp_path):
    write_voc(tmp_path)
    text = (tmp_path / "Annotations/a.xml").read_text()
    write_text(tmp_path / "Annotations/a.xml", text.replace("a.jpg", "c.jpg"))
    assert load_split(tmp_path, "val").truth.image_ids == ("a.jpg", "b.jpg", "c.jpg")


def test_voc_photos_may_be_png_and_lie_in_folders_and_lists_may_name_files(tmp_path):
    write_voc(tmp_path)
    write_photo(tmp_path / "JPEGImages/sub/d.PNG", (8, 8))
    write_text(
        tmp_path / "Annotations/sub/d.xml", xml("d.png", (8, 8), xml_object("cat", (1, 1, 8, 8)))
    )
    write_photo(tmp_path / "JPEGImages/b.png", (8, 8))  # b.jpg comes before it
    (tmp_path / "ImageSets/Main/val.txt").write_bytes(
        b"\xef\xbb\xbfsub/d\r\n\r\nb.jpg \r\n"
    )  # BOM, CRLF, blank
    assert load_split(tmp_path, "val").truth.image_ids == ("sub/d.PNG", "b.jpg")


def test_class_lists_of_the_devkit_are_not_splits(tmp_path):
    write_voc(tmp_path)
    write_text(tmp_path / "ImageSets/Main/cat_val.txt", "a  1\nb -1\nc  0\n")
    write_text(tmp_path / "ImageSets/Main/report_val.txt", "a\n")
    assert open_data(tmp_path).splits == ("report_val", "val")
    with pytest.raises(InputError, match="no split cat_val; there is report_val, val"):
        load_split(tmp_path, "cat_val")


@pytest.mark.parametrize("inside", ["VOC2007", "VOCdevkit/VOC2007"])
def test_a_voc_devkit_is_found_inside_its_folder(tmp_path, inside):
    write_voc(tmp_path / inside)
    assert len(load_split(tmp_path, "val").truth) == 3
    write_voc(tmp_path / inside.replace("2007", "2012"))
    with pytest.raises(InputError, match=r"several VOC data sets.*VOC2007.*VOC2012"):
        load_split(tmp_path, "val")


@pytest.mark.parametrize(
    "file, photos",
    [
        ("val.json", "."),
        ("val.json", "images"),
        ("annotations/val.json", "images/val"),
        ("x/val.json", "images"),
    ],
)
def test_coco_photos_are_found_near_the_json(tmp_path, file, photos):
    write_coco(tmp_path, file, photos)
    assert len(load_split(tmp_path / file, "val").truth) == 3


def test_coco_captions_are_passed_over_and_photos_may_be_anywhere(tmp_path):
    write_coco(tmp_path / "coco", photos="../elsewhere")
    write_text(tmp_path / "coco/annotations/captions_val2017.json", "{}")
    with pytest.raises(InputError, match=r"no folder has its first photo, a.jpg; tried .*val2017"):
        load_split(tmp_path / "coco", "val")
    assert len(load_split(tmp_path / "coco", "val", images=tmp_path / "elsewhere").truth) == 3


@pytest.mark.parametrize(
    "content",
    [
        "val: [images/val]\nnames: {0: cat, 1: dog, 2: person}\nnc: 3",
        "path: /content/gone\nval: images/val\nnames: [cat, dog, person]",
        "val: ../images/val\nnames: [cat, dog, person]",  # as Roboflow writes it
        "val: val.txt\nnames: [cat, dog, person]",
    ],
)
def test_yolo_yaml_may_say_it_in_several_ways(tmp_path, content):
    write_yolo(tmp_path / "d")
    write_text(tmp_path / "d/data.yaml", content)
    write_text(tmp_path / "d/val.txt", "./images/val/a.jpg\nimages/val/b.jpg\nimages/val/c.jpg\n")
    truth = load_split(tmp_path / "d/data.yaml", "val").truth
    assert truth.image_ids == ("a.jpg", "b.jpg", "c.jpg") and len(truth) == 3


def test_yolo_photos_without_a_label_file_have_no_objects(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / "labels/val/a.txt").unlink()
    assert load_split(tmp_path, "val").truth.image.tolist() == [2]
    shutil.rmtree(tmp_path / "labels")
    with pytest.raises(
        InputError, match=r"labels/val/a.txt: label file is missing, as for all of val"
    ):
        load_split(tmp_path, "val")


def test_photos_are_found_in_files_and_folders(tmp_path):
    for name in ("one/b.png", "one/deep/a.JPG", "two/c.jpeg", "one/.hidden/d.jpg", "one/._b.jpg"):
        write_photo(tmp_path / name, (4, 4))
    write_text(tmp_path / "one/notes.txt", "")
    ids, paths = find_photos([tmp_path / "two/c.jpeg", tmp_path / "one"])
    assert ids == ("c.jpeg", "b.png", "deep/a.JPG")
    assert paths[2] == tmp_path / "one/deep/a.JPG"
    assert find_photos([tmp_path / "one", tmp_path / "one"])[0] == ("b.png", "deep/a.JPG")
    write_photo(tmp_path / "two/b.png", (4, 4))
    for sources, what in (
        (["one", "two"], r"two photos would both be b.png: .*one/b.png and .*two/b.png"),
        (["none"], "nothing is there"),
        (["empty"], "the folder has none"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=what):
            find_photos([tmp_path / name for name in sources])


def test_reading_data_needs_no_torch():
    modules = (
        "import harness.data.dataset, harness.data.demo, harness.data.doctor, harness.data.voc2007"
    )
    subprocess.run(
        [sys.executable, "-c", f"import sys; {modules}; assert 'torch' not in sys.modules"],
        check=True,
    )
