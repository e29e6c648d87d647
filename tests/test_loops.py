"""evaluate.loops: numba is imported by the first call, and stale machine code is not run."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest

from evaluate.loops import Kernels

ROOT = Path(__file__).parents[1]
CALLS = {
    "evaluate.nms": "nms(dets, 0.5)",
    "evaluate.metrics.coco": "coco_map(dets, truth)",
    "evaluate.sweep.thresholds": "sweep(dets, truth, replicates=0)",
}


@pytest.mark.parametrize("module", CALLS)
def test_importing_a_module_with_kernels_is_free_and_its_first_call_imports_numba(module):
    code = f"""
import sys
from {module} import *
from evaluate.tables import Detections, GroundTruth
box = ("a",), ("cat",), [0], [0], [[0, 0, 9, 9]]
dets, truth = Detections(*box, [0.5]), GroundTruth(*box, [False])
before = "numba" in sys.modules
{CALLS[module]}
print(before, "numba" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_kernels_are_those_of_the_file_and_a_name_it_lacks_is_refused():
    from evaluate import nms_kernel

    kernel = Kernels("evaluate.nms_kernel")
    assert kernel.alive_masks is nms_kernel.alive_masks
    with pytest.raises(AttributeError, match="no_such_kernel"):
        kernel.no_such_kernel  # noqa: B018


def test_kernels_can_be_copied_without_being_imported():
    assert vars(copy.deepcopy(Kernels("no.such.module"))) == {"_module": "no.such.module"}


KERNELS = {
    "inner_kernel": """
import numba

@numba.njit(cache=True)
def inner():
    return 1
""",
    "outer_kernel": """
import numba

from inner_kernel import inner

@numba.njit(cache=True)
def outer():
    return inner()
""",
}


def test_a_kernel_is_compiled_anew_when_a_file_that_it_calls_has_changed(tmp_path):
    for name, text in KERNELS.items():
        (tmp_path / f"{name}.py").write_text(text)
    code = f"""
import sys
sys.path += [{str(tmp_path)!r}, {str(ROOT)!r}]
from evaluate.loops import Kernels
print(Kernels("outer_kernel").outer())
"""
    words = [sys.executable, "-c", code]
    for value in (1, 2):
        changed = KERNELS["inner_kernel"].replace("return 1", f"return {value}")
        (tmp_path / "inner_kernel.py").write_text(changed)
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [str(value)]
    (index,) = (tmp_path / "__pycache__").glob("outer_kernel.*.nbi")
    written = index.stat().st_mtime_ns
    subprocess.run(words, capture_output=True, check=True)
    assert index.stat().st_mtime_ns == written  # nothing has changed: nothing is compiled
