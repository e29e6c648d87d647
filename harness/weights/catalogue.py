"""Published weight files: where each comes from, the copy on this machine, and what a weight file holds.

None is shipped with the harness. A file lies in `folder()` once fetched, and is checked against its SHA-256 then.
Only torchvision publishes those: 8 digits, in the file's name. All others are what public projects that pin the same
file wrote down: two or more that agree, for yolov5x one (whose values for n, s, m and l agree with others').
"""

import hashlib
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from harness.data.download import Progress, download
from harness.run_folder import Run

MB = 2**20
_YOLOV5 = "https://github.com/ultralytics/yolov5/releases/download/v7.0/"
_TORCHVISION = "https://download.pytorch.org/models/"
_DARKNET = "https://data.pjreddie.com/files/"  # pjreddie.com/media/files/, often cited, answers with a web page
_AGPL, _BSD, _FREE = "AGPL-3.0", "BSD-3-Clause", "public domain"
_SHA256 = {
    "yolov5n.pt": "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3",
    "yolov5s.pt": "8b3b748c1e592ddd8868022e8732fde20025197328490623cc16c6f24d0782ee",
    "yolov5m.pt": "61d933360ba5a7733a36764996c800287d973889d875227f5beedd2473a97a56",
    "yolov5l.pt": "2f603b7354c25454d1270663a14d8ddc1eea98e5eebc1d84ce0c6e3150fa155f",
    "yolov5x.pt": "9f27a794fa0308e2606f90565164571d6f0a0ba18a3ce2e5e5d323b71c157859",
    "yolov3.weights": "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297",
    "darknet53.conv.74": "2495c2690283e4e0bc2050cbd4660b77a8074e14e9c11150c6412fd63db496a7",
    "resnet18-f37072fd.pth": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "resnet34-b627a593.pth": "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    "resnet50-11ad3fa6.pth": "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
    "resnet50-0676ba61.pth": "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "resnet101-cd907fc2.pth": "cd907fc2a0de2292b2ba2b27d2216bc672d84632d1cf20058d01c0c03b5e020e",
}


@dataclass(frozen=True)
class Entry:
    """One published file."""

    name: str  # what a person types
    file: str  # its name at the publisher's and in `folder()`
    url: str
    bytes: int
    licence: str
    what: str
    sha256: str


ENTRIES = {
    name: Entry(name, file, site + file, size, licence, what, _SHA256[file])
    for name, file, site, size, licence, what in (
        ("yolov5n", "yolov5n.pt", _YOLOV5, 4_062_133, _AGPL, "YOLOv5n v7.0, COCO"),
        ("yolov5s", "yolov5s.pt", _YOLOV5, 14_808_437, _AGPL, "YOLOv5s v7.0, COCO"),
        ("yolov5m", "yolov5m.pt", _YOLOV5, 42_806_829, _AGPL, "YOLOv5m v7.0, COCO"),
        ("yolov5l", "yolov5l.pt", _YOLOV5, 93_622_629, _AGPL, "YOLOv5l v7.0, COCO"),
        ("yolov5x", "yolov5x.pt", _YOLOV5, 174_114_333, _AGPL, "YOLOv5x v7.0, COCO"),
        ("yolov3", "yolov3.weights", _DARKNET, 248_007_048, _FREE, "YOLOv3 whole, COCO"),
        (
            "darknet53",
            "darknet53.conv.74",
            _DARKNET,
            162_482_580,
            _FREE,
            "DarkNet-53 backbone, ImageNet",
        ),
        (
            "resnet18",
            "resnet18-f37072fd.pth",
            _TORCHVISION,
            46_830_571,
            _BSD,
            "ResNet-18 V1, ImageNet 69.76 %",
        ),
        (
            "resnet34",
            "resnet34-b627a593.pth",
            _TORCHVISION,
            87_319_819,
            _BSD,
            "ResNet-34 V1, ImageNet 73.31 %",
        ),
        (
            "resnet50",
            "resnet50-11ad3fa6.pth",
            _TORCHVISION,
            102_540_417,
            _BSD,
            "ResNet-50 V2, ImageNet 80.86 %",
        ),
        (
            "resnet50-v1",
            "resnet50-0676ba61.pth",
            _TORCHVISION,
            102_530_333,
            _BSD,
            "ResNet-50 V1, ImageNet 76.13 %",
        ),
        # torchvision says 170.53 MB; the exact size is not published
        (
            "resnet101",
            "resnet101-cd907fc2.pth",
            _TORCHVISION,
            178_813_665,
            _BSD,
            "ResNet-101 V2, ImageNet 81.89 %",
        ),
    )
}


def folder() -> Path:
    """Where fetched files lie: $HARNESS_WEIGHTS, else detection-harness in $XDG_CACHE_HOME or ~/.cache."""
    if chosen := os.environ.get("HARNESS_WEIGHTS"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "detection-harness"


def find(name: str) -> Path | None:
    """The fetched file of a catalogue name, if it is here."""
    path = folder() / _entry(name).file
    return path if path.is_file() else None


def fetch(
    name: str, *, from_file: Path | None = None, progress: Progress = lambda done, total: None
) -> Path:
    """The file of a catalogue name, from the network unless it is here or `from_file` is a copy of it; checked.

    A download goes on where an earlier one stopped; a copy is in place whole or not at all. Raises InputError for an
    unknown name or another file's content, DownloadError when the file cannot be had.
    """
    entry = _entry(name)
    path = folder() / entry.file
    if from_file is None:
        by_hand = f"with a copy of the file: `harness weights fetch {name} --from FILE`"
        download(entry.url, path, sha256=entry.sha256, by_hand=by_hand, progress=progress)
        return path
    if not from_file.is_file():
        raise InputError(f"{from_file}: no such file; want a copy of {entry.url}")
    if (found := _sha256(from_file)) != entry.sha256:
        length = from_file.stat().st_size
        raise InputError(
            f"{from_file}: sha256 of its {length:,} bytes is {found}, want {entry.sha256} of {entry.file}"
        )
    with written_whole(path) as scratch:
        shutil.copyfile(from_file, scratch)
    return path


def resolve(text: str) -> Path:
    """What `weights=` in a recipe or WEIGHTS on the command line means: an existing path, else a catalogue name.

    Raises InputError for a name that is not fetched yet, saying how, and for anything else.
    """
    path = Path(text).expanduser()
    if path.exists():
        return path
    if text not in ENTRIES:
        raise InputError(
            f"{text}: no such file; want a run folder, a checkpoint, an official file or {_names()}"
        )
    if (fetched := find(text)) is None:
        size, licence = ENTRIES[text].bytes / MB, ENTRIES[text].licence
        raise InputError(
            f"weights {text}: not fetched yet; `harness weights fetch {text}` brings {size:.0f} MB ({licence})"
        )
    return fetched


def published_files() -> dict[str, Any]:
    """Every entry with the path of its copy here, None where there is none."""
    rows = []
    for name, entry in ENTRIES.items():
        path = find(name)
        rows.append(asdict(entry) | {"path": str(path) if path else None})
    return {"folder": str(folder()), "weights": rows}


def catalogue_text(found: dict[str, Any]) -> str:
    """What `published_files` says, a line an entry; a star marks those that are here."""
    lines = [
        f"{'*' if row['path'] else ' '} {row['name']:<12}{row['bytes'] / MB:>4.0f} MB  {row['licence']:<14}"
        f"{row['what']:<33}{row['url']}"
        for row in found["weights"]
    ]
    checked = "Every fetch is checked by SHA-256 (--json shows it). Of torchvision's the file name gives 8 digits; no other"
    checked += "\npublisher gives any: those are what public projects that pin the file wrote down."
    return "\n".join([*lines, f"* is here, in {found['folder']}", checked])


def inspect(path: Path) -> dict[str, Any]:
    """What a weight file is, without running what is in it. Raises InputError for a file of no known kind.

    "dtype" is the precision its numbers have; "parameters" leaves out what training does not move, such as batch
    norm's averages; "entry" is the catalogue's name for exactly this file.
    """
    from harness.weights.checkpoint import read_weights
    from models.weights import foreign_classes

    if path.is_dir():
        raise InputError(f"{path}: want a weight file, such as {Run(path).best}, this is a folder")
    weights, recipe = read_weights(path)
    with open(path, "rb") as file:
        zipped = file.read(2) == b"PK"
    ours = zipped and recipe is not None and not foreign_classes(path)
    if recipe is None:
        kind = "backbone"
    elif ours:
        kind = "checkpoint of this harness"
    else:
        kind = "YOLOv5 checkpoint" if zipped else "Darknet weights"
    floats = [value for value in weights.state.values() if value.is_floating_point()]
    learned = [name for name in weights.state if name.rpartition(".")[2] in ("weight", "bias")]
    digest = _sha256(path)
    return {
        "path": str(path),
        "kind": kind,
        "architecture": weights.architecture,
        "bytes": path.stat().st_size,
        "sha256": digest,
        "entry": next((entry.name for entry in ENTRIES.values() if entry.sha256 == digest), None),
        "tensors": len(weights.state),
        "parameters": sum(weights.state[name].numel() for name in learned),
        "dtype": "float16"
        if all(value.equal(value.half().float()) for value in floats)
        else "float32",
        "classes": list(weights.classes),
        "recipe": asdict(recipe) if ours and recipe else None,
    }


def inspection_text(found: dict[str, Any]) -> str:
    """What `inspect` says, for people."""
    classes = found["classes"]
    some = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
    entry = ENTRIES[found["entry"]] if found["entry"] else None
    known = (
        f"{entry.name}: {entry.what}, {entry.licence}, {entry.url}"
        if entry
        else "not in `harness weights list`"
    )
    lines = [
        f"{found['path']}: {found['kind']}, {found['architecture']}",
        f"  {found['bytes']:,} bytes, sha256 {found['sha256']}",
        f"  {known}",
        f"  {found['tensors']:,} tensors, {found['parameters']:,} parameters, {found['dtype']}",
        f"  {len(classes)} classes: {some}" if classes else "  no classes",
    ]
    if found["recipe"]:
        recipe = found["recipe"]
        lines.append(
            f"  recipe: {recipe['model']}, head {recipe['head']}, trained at {recipe['image_size']} pixels"
        )
    return "\n".join(lines)


def _entry(name: str) -> Entry:
    if name not in ENTRIES:
        raise InputError(f"weights {name}: no such name; want {_names()}")
    return ENTRIES[name]


def _names() -> str:
    *most, last = ENTRIES
    return f"one of {', '.join(most)}, {last}"


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
