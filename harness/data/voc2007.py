"""PASCAL VOC 2007, as the organisers publish it, and a split of its trainval as large as that of
the reports.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2007/
"""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path

from evaluate.exceptions import InputError
from evaluate.progress import Progress, silent
from harness.data.download import download
from harness.data.records import VOC_CLASSES

SITE = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/"
ARCHIVES = {  # name -> md5; about 0.45 GB each
    "VOCtrainval_06-Nov-2007.tar": "c52e279531787c972589f7e41ab4ae64",
    "VOCtest_06-Nov-2007.tar": "b6e924de25625d8de591ea690078ad9f",
}
REPORT_TRAIN, REPORT_VAL = 3755, 1254  # photos in the reports' lists


def fetch_voc2007(out: Path, *, progress: Progress = silent) -> Path:
    """The data set in VOC layout at out/VOC2007, downloaded and unpacked unless it is there;
    returns that folder.

    An archive that lies in `out` is used in place of a download, and every archive is left there.
    Raises DownloadError when an archive cannot be had.
    """
    root = out / "VOC2007"
    if not root.exists():
        for name, md5 in ARCHIVES.items():
            download(SITE + name, out / name, md5=md5, progress=progress)
        scratch = out / "VOC2007.part"
        shutil.rmtree(scratch, ignore_errors=True)
        for name in ARCHIVES:
            with tarfile.open(out / name) as archive:
                archive.extractall(scratch, filter="data")
        _write_lines(scratch / "VOCdevkit" / "VOC2007" / "classes.txt", list(VOC_CLASSES))
        os.replace(scratch / "VOCdevkit" / "VOC2007", root)
        shutil.rmtree(scratch)
    if not (root / "ImageSets" / "Main" / "report_train.txt").exists():
        write_report_split(root)
    return root


def write_report_split(root: Path) -> None:
    """Add the splits report_train (3755 photos) and report_val (1254), drawn from trainval; it has
    5011.

    The rule: ids by the SHA-1 of their text; the first 1254 are report_val, the next 3755
    report_train, 2 are left out. It reproduces the sizes of the reports' lists, not who is in them:
    those lists are not public. The devkit's own train, val, trainval and test stay as they are.
    Raises InputError when root has no trainval list.
    """
    lists = root / "ImageSets" / "Main"
    if not (lists / "trainval.txt").is_file():
        raise InputError(
            f"{lists / 'trainval.txt'}: want VOC 2007's list of trainval photos, nothing is there"
        )
    ids = (lists / "trainval.txt").read_text().split()
    ranked = sorted(ids, key=lambda image_id: hashlib.sha1(image_id.encode()).digest())
    _write_lines(lists / "report_val.txt", sorted(ranked[:REPORT_VAL]))
    _write_lines(lists / "report_train.txt", sorted(ranked[REPORT_VAL : REPORT_VAL + REPORT_TRAIN]))


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))
