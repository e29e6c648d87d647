"""Which format a data set has, told by where its files lie."""

from pathlib import Path

from evaluate.exceptions import InputError
from harness.data.coco import CocoJson
from harness.data.listfile import ListFiles
from harness.data.records import AnnotationReader
from harness.data.voc import Voc
from harness.data.yolo import YoloTxt


def open_reader(data: Path, images: Path | None = None) -> AnnotationReader:
    """The reader for DATA; it has not read any annotation yet.

    Raises InputError naming everything that was looked for.
    """
    if images is not None and not images.is_dir():
        kind = "a file" if images.exists() else "nothing"
        raise InputError(f"{images}: want the folder of photos, {kind} is there")
    if data.is_file():
        return _of_file(data, images)
    if not data.is_dir():
        raise InputError(f"{data}: want a data set, nothing is there")
    reader = _of_folder(data, images)
    if reader is None:
        raise InputError(
            f"{data}: want a data set, found neither ImageSets/Main (VOC; also in VOCdevkit/"
            "VOC2007), data.yaml (YOLO), *.json or annotations/*.json (COCO) nor *.txt (lists)"
        )
    return reader


def _of_file(data: Path, images: Path | None) -> AnnotationReader:
    match data.suffix.lower():
        case ".json":
            return CocoJson([data], images)
        case ".yaml" | ".yml":
            return YoloTxt(data, images)
        case ".txt":
            return ListFiles([data], images)
    raise InputError(f"{data}: want a COCO .json, a YOLO .yaml or a list .txt, or a folder")


def _of_folder(data: Path, images: Path | None) -> AnnotationReader | None:
    """The first format in this order that the folder has files of: VOC, YOLO, COCO, lists."""
    kits = [
        path.parent.parent
        for pattern in ("", "*/", "VOCdevkit/*/")
        for path in sorted(data.glob(f"{pattern}ImageSets/Main"))
    ]
    if len(kits) > 1 and kits[0] != data:
        names = ", ".join(map(str, kits))
        raise InputError(f"{data}: holds several VOC data sets, name one: {names}")
    if kits:
        return Voc(kits[0], images)

    if (data / "data.yaml").is_file():
        return YoloTxt(data / "data.yaml", images)

    files = sorted([*data.glob("*.json"), *data.glob("annotations/*.json")])
    if files:  # captions_val2017.json and its like lie beside COCO's instances
        return CocoJson([f for f in files if f.name.startswith("instances_")] or files, images)

    lists = [path for path in sorted(data.glob("*.txt")) if path.name != "classes.txt"]
    return ListFiles(lists, images) if lists else None
