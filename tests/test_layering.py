"""Who may import whom, and what a start may cost. The whole rule is the table below."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"harness", "models", "evaluate", "submit"}
MAY_IMPORT = {  # package: our packages, and third-party packages beyond the standard library (None: any)
    "models": (set(), {"torch", "torchvision", "numpy"}),
    "evaluate": (set(), {"numpy", "numba", "pandas", "pycocotools", "matplotlib"}),
    "submit": ({"evaluate"}, {"numpy", "pandas", "orjson", "kaggle", "kagglesdk"}),
    "harness": ({"models", "evaluate", "submit"}, None),
}
SLOW = {"torch", "torchvision", "matplotlib", "pandas", "numba", "pycocotools", "kaggle", "cv2"}


def imports(file):
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package):
    ours, theirs = MAY_IMPORT[package]
    for file in (ROOT / package).rglob("*.py"):
        found = imports(file) - {package}
        assert not found & OURS - ours, (
            f"{file.relative_to(ROOT)} may not import {found & OURS - ours}"
        )
        assert theirs is None or not found - OURS - theirs, (
            f"{file.relative_to(ROOT)} may not import {found - OURS - theirs}"
        )


def test_no_file_takes_a_name_that_yolov5_pickles_import():
    assert not {file.name for file in (ROOT / "models").rglob("*.py")} & {
        "yolo.py",
        "common.py",
        "experimental.py",
    }


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
        "evaluate.metrics.voc, evaluate.sweep.thresholds",
        "submit.csv.formats, submit.csv.check, submit.ledger, submit.kaggle.poll",
    ],
)
def test_scoring_and_submitting_start_without_slow_packages(modules):
    code = f"import sys, {modules}; print(*sorted({SLOW} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
