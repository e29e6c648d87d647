"""Published weight files: where each comes from, and the copy on this machine.

None is shipped with the harness. A file lies in `weights_folder()` once fetched, and is checked
against its SHA-256 then. Only torchvision publishes those: 8 digits, in the file's name. All others
are what public projects that pin the same file wrote down: two or more that agree, for yolov5x one
(whose values for n, s, m and l agree with others').
"""

import hashlib
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from evaluate.progress import Progress, silent
from harness.data.download import download

MB = 2**20
_YOLOV5 = "https://github.com/ultralytics/yolov5/releases/download/v7.0/"
_TORCHVISION = "https://download.pytorch.org/models/"
_DARKNET = (
    "https://data.pjreddie.com/files/"  # the often cited pjreddie.com/media serves a web page
)
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
class PublishedFile:
    """One row of the catalogue."""

    name: str  # what a person types
    file: str  # its name at the publisher's and in `weights_folder()`
    url: str
    bytes: int
    licence: str
    contents: str  # the network and what it was trained on
    sha256: str


CATALOGUE = {
    name: PublishedFile(name, file, site + file, size, licence, contents, _SHA256[file])
    for name, file, site, size, licence, contents in (
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


def weights_folder() -> Path:
    """Where fetched files lie.

    $HARNESS_WEIGHTS, else the folder detection-harness in $XDG_CACHE_HOME or ~/.cache.
    """
    if chosen := os.environ.get("HARNESS_WEIGHTS"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "detection-harness"


def find_fetched(name: str) -> Path | None:
    """The copy of a published file on this machine, None if it was not fetched."""
    path = weights_folder() / _published(name).file
    return path if path.is_file() else None


def fetch_weights(name: str, *, from_file: Path | None = None, progress: Progress = silent) -> Path:
    """A published file, checked: the copy here, else `from_file`, else from the network.

    A download goes on where an earlier one stopped; a copy is in place whole or not at all. Raises
    InputError for an unknown name or another file's content, DownloadError when the file cannot be
    had.
    """
    published = _published(name)
    path = weights_folder() / published.file

    # From the network; `by_hand` ends each message of a failure with the way round it.
    if from_file is None:
        by_hand = f"with a copy of the file: `harness weights fetch {name} --from FILE`"
        download(published.url, path, sha256=published.sha256, by_hand=by_hand, progress=progress)
        return path

    # From a copy, which must be the very same file.
    if not from_file.is_file():
        raise InputError(f"{from_file}: no such file; want a copy of {published.url}")
    if (digest := file_sha256(from_file)) != published.sha256:
        length = from_file.stat().st_size
        raise InputError(
            f"{from_file}: sha256 of its {length:,} bytes is {digest}, "
            f"want {published.sha256} of {published.file}"
        )
    with written_whole(path) as scratch:
        shutil.copyfile(from_file, scratch)
    return path


def resolve_weights(text: str) -> Path:
    """The path that `weights=` in a recipe or WEIGHTS on the command line stands for.

    An existing path comes before a name of the catalogue. Raises InputError for a name that is not
    fetched yet, saying how to fetch it, and for anything else.
    """
    path = Path(text).expanduser()
    if path.exists():
        return path
    if text not in CATALOGUE:
        raise InputError(
            f"{text}: no such file; want a run folder, a checkpoint, an official file or {_names()}"
        )
    if (fetched := find_fetched(text)) is None:
        size, licence = CATALOGUE[text].bytes / MB, CATALOGUE[text].licence
        raise InputError(
            f"weights {text}: not fetched yet; `harness weights fetch {text}` brings "
            f"{size:.0f} MB ({licence})"
        )
    return fetched


def published_files() -> dict[str, Any]:
    """The folder of fetched files, and each published file with the path of its copy or None."""
    rows = []
    for name, published in CATALOGUE.items():
        path = find_fetched(name)
        # Whoever reads the JSON knows the contents as "what".
        row = {
            "what" if key == "contents" else key: value for key, value in asdict(published).items()
        }
        rows.append(row | {"path": str(path) if path else None})
    return {"folder": str(weights_folder()), "weights": rows}


def catalogue_text(catalogue: dict[str, Any]) -> str:
    """What `published_files` says, one line per file; a star marks those that are here."""
    lines = [
        f"{'*' if row['path'] else ' '} {row['name']:<12}{row['bytes'] / MB:>4.0f} MB  "
        f"{row['licence']:<14}{row['what']:<33}{row['url']}"
        for row in catalogue["weights"]
    ]
    return "\n".join(
        [
            *lines,
            f"* is here, in {catalogue['folder']}",
            "Every fetch is checked by SHA-256 (--json shows it). torchvision publishes its first",
            "8 digits, in the file's name, the others nothing: theirs are what public projects",
            "that pin the same file wrote down.",
        ]
    )


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _published(name: str) -> PublishedFile:
    if name not in CATALOGUE:
        raise InputError(f"weights {name}: no such name; want {_names()}")
    return CATALOGUE[name]


def _names() -> str:
    *most, last = CATALOGUE
    return f"one of {', '.join(most)}, {last}"
