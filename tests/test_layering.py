"""Who may import whom, and what a start may cost. The whole rule is the tables below.

A room is a folder or a file directly inside a package: `evaluate/metrics/` and `evaluate/nms.py`
are two rooms. A kernel file belongs to the room of its idea, so `evaluate/nms_kernel.py` is in
`nms`.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import VERBS

ROOT = Path(__file__).parents[1]
MAP = ROOT / "docs" / "ARCHITECTURE.md"
OURS = {"harness", "models", "evaluate", "submit"}

# package: (our packages it may import, others beyond the standard library; None: any)
MAY_IMPORT = {
    "models": (set(), {"torch", "torchvision", "numpy"}),
    "evaluate": (set(), {"numpy", "numba", "pandas", "pycocotools", "matplotlib"}),
    "submit": ({"evaluate"}, {"numpy", "pandas", "orjson", "kaggle", "kagglesdk", "numba"}),
    "harness": ({"models", "evaluate", "submit"}, None),
}

# package: {room: the rooms of the same package it may import}, the ground floor first. A room
# stands after all that it may import, so no import ever runs back up.
GROUND = "exceptions loops progress files tables boxes nms"  # of evaluate; anyone may import these
ROOMS = {
    "evaluate": {
        "exceptions": "",
        "loops": "",
        "progress": "",
        "files": "exceptions",
        "tables": "exceptions files",
        "boxes": "tables",
        "nms": "exceptions loops tables boxes",
        "metrics": GROUND,
        "sweep": f"{GROUND} metrics",
        "diagnosis": f"{GROUND} metrics",
        "ensemble": f"{GROUND} metrics",
        "exchange": GROUND,
        "tracking": GROUND,
    },
    "submit": {
        "migrations": "",
        "ledger": "migrations",
        "csv": "ledger",
        "kaggle": "ledger csv",
    },
    "models": {
        "class_names": "",
        "gains": "",
        "boxes": "",
        "blocks": "",
        "darknet": "",
        "detector": "",
        "assign": "boxes detector",
        "losses": "boxes detector gains assign",
        "heads": "boxes detector gains losses",
        "cells": "boxes detector assign",
        "yolov1": "detector gains heads cells",
        "yolov3": "detector gains heads darknet",
        "yolov5": "detector gains heads blocks",
        "weights": "class_names detector",
        "unpickling": "weights",
        "yolov5_weights": "yolov5 weights unpickling",
        "darknet_weights": "class_names darknet heads yolov3 weights",
        "resnet_weights": "weights unpickling",
    },
    "harness": {
        "provenance": "",
        "device": "",
        "recipe": "",
        "recipes": "",
        "images": "",
        "build": "recipe",
        "data": "images",
        "run_folder": "provenance recipe data",
        "weights": "build data recipe run_folder",
        "inference": "device images weights",
        "video": "device images weights inference",
        "report": "data images run_folder video",
        "training": "build data device images inference recipe report run_folder weights",
        "scoring": "provenance run_folder",
        "convert": "data",
        "cli": "convert data device images inference recipe report run_folder scoring training "
        "video weights",
        "__main__": "cli",
    },
}
SLOW = {"torch", "torchvision", "matplotlib", "pandas", "numba", "pycocotools", "kaggle", "cv2"}
SLOW |= {"tensorboard", "onnx", "onnxruntime", "openvino"}


def files(package):
    return sorted((ROOT / package).rglob("*.py"))


def imported(file):
    """Every module and every name that the file imports, anywhere in it, as dotted names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(dotted):
    """evaluate.metrics.voc -> ("evaluate", "metrics"); of a package itself ("evaluate", "")."""
    package, _, rest = dotted.partition(".")
    return package, rest.partition(".")[0].removesuffix("_kernel")


def room_of(file):
    return room(".".join(file.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_between_packages_point_one_way(package):
    ours, others = MAY_IMPORT[package]
    for file in files(package):
        names = {name.partition(".")[0] for name in imported(file)}
        names -= sys.stdlib_module_names | {package}
        wrong = names & OURS - ours
        wrong |= set() if others is None else names - OURS - others
        assert not wrong, f"{file.relative_to(ROOT)} may not import {wrong}"


@pytest.mark.parametrize("package", ROOMS)
def test_imports_between_rooms_point_one_way(package):
    may_import = {name: set(rooms.split()) for name, rooms in ROOMS[package].items()}
    wrong = []
    for file in files(package):
        _, here = room_of(file)
        if here == "__init__":
            continue
        for name in imported(file):
            other_package, other = room(name)
            if other_package == package and other in may_import.keys() - {here}:
                if other not in may_import[here]:
                    wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_packages_offer_no_second_address_for_what_a_module_holds():
    for package in OURS - {"harness"}:
        for file in files(package):
            if file.name == "__init__.py":
                body = ast.parse(file.read_text(encoding="utf-8")).body
                assert all(isinstance(node, ast.Expr) for node in body), f"{file}: want a docstring"


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_is_in_the_table_below_what_it_imports(package):
    rooms = {room_of(file)[1] for file in files(package)} - {"__init__"}
    assert rooms == ROOMS[package].keys()
    above = set()
    for name, may_import in ROOMS[package].items():
        assert set(may_import.split()) <= above, f"{name} may import a room that comes after it"
        above.add(name)


def test_numba_is_imported_in_kernels_alone():
    files_with_numba = {
        file.relative_to(ROOT).as_posix()
        for package in OURS
        for file in files(package)
        if "numba" in {name.partition(".")[0] for name in imported(file)}
    }
    files_with_numba -= {"evaluate/loops.py"}  # which imports kernels for everyone else
    assert not {name for name in files_with_numba if not name.endswith("_kernel.py")}


def test_kernels_are_imported_by_kernels_alone():
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for package in OURS
        for file in files(package)
        for name in imported(file)
        if any(part.endswith("_kernel") for part in name.split("."))
        and not file.stem.endswith("_kernel")
    ]
    assert not wrong


def test_every_kernel_that_is_named_is_there():
    for package in OURS:
        for file in files(package):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Kernels":
                    path = ROOT.joinpath(*node.args[0].value.split(".")).with_suffix(".py")
                    assert path.is_file() and path.stem.endswith("_kernel"), f"{file}: {path}"


@pytest.mark.skipif(not MAP.is_file(), reason="the map is not drawn yet")
def test_the_map_lists_every_folder():
    text = MAP.read_text(encoding="utf-8")
    folders = {file.parent for package in OURS for file in files(package)}
    assert not {folder.name for folder in folders if f"{folder.name}/" not in text}


def test_no_file_takes_a_name_that_yolov5_pickles_import():
    names = {file.name for file in files("models")}
    assert not names & {"yolo.py", "common.py", "experimental.py"}


def test_a_copy_of_the_sources_runs_without_being_installed(tmp_path):
    for package in OURS:
        (tmp_path / package).symlink_to(ROOT / package)
    words = [sys.executable, "-m", "harness", "csv", "--help"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "--profile" in done.stdout, done.stderr


def test_evaluate_and_models_are_ours_not_hugging_faces():
    import evaluate
    import models

    assert Path(evaluate.__file__).parent == ROOT / "evaluate"
    assert Path(models.__file__).parent == ROOT / "models"


@pytest.mark.parametrize(
    "modules",
    [
        "evaluate.metrics.voc, evaluate.sweep.thresholds, evaluate.diagnosis.diagnose",
        "evaluate.ensemble.fuse, evaluate.exchange.coco_json, evaluate.tracking.smoother",
        "submit.csv.formats, submit.csv.check, submit.ledger, submit.kaggle.submission",
        "harness.cli.main, harness.scoring, harness.report.leaderboard, harness.convert",
        ", ".join(dict.fromkeys(place.partition(":")[0] for place in VERBS.values())),
    ],
)
def test_scoring_and_submitting_start_without_slow_packages(modules):
    code = f"import sys, {modules}; print(*sorted({SLOW} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
