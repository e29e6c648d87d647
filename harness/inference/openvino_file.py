"""Detectors as OpenVINO's .xml with a .bin beside it, run on a CPU in float32 or bfloat16."""

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from evaluate.exceptions import InputError
from evaluate.tables import Array
from harness.device import pick_precision
from harness.inference.exported import (
    KEY,
    RunGraph,
    import_optional,
    last_line,
    read_metadata,
)
from harness.inference.onnx_file import write_onnx
from models.detector import Detector


def write_openvino(model: Detector, metadata: str, path: Path) -> None:
    """Write a detector by way of ONNX; .bin first, so that a .xml is never without its numbers."""
    with tempfile.TemporaryDirectory(dir=path.parent, suffix=".part") as folder:
        onnx, scratch = Path(folder, "model.onnx"), Path(folder, path.name)
        write_onnx(model, metadata, onnx)
        graph = _core().read_model(onnx)
        graph.set_rt_info(metadata, KEY)
        import_optional("openvino").save_model(graph, scratch, compress_to_fp16=False)
        os.replace(scratch.with_suffix(".bin"), path.with_suffix(".bin"))
        os.replace(scratch, path)


def read_openvino(path: Path, precision: str) -> tuple[RunGraph, dict[str, Any]]:
    """What runs the file, and its metadata. Raises InputError for a file that is not ours."""
    if precision == "float16":
        raise InputError(f"{path}: want --precision float32 or bfloat16 with OpenVINO")
    core = _core()
    dtype = pick_precision(precision, torch.device("cpu"))
    settings = {
        "INFERENCE_PRECISION_HINT": "f32" if dtype == torch.float32 else "bf16",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    try:
        graph = core.read_model(path)
    except RuntimeError as error:
        raise InputError(f"{path}: want a file of `harness export`: {last_line(error)}") from None
    entry = graph.get_rt_info(KEY).astype(str) if graph.has_rt_info(KEY) else None
    compiled = core.compile_model(graph, "CPU", settings)

    def run(images: Array) -> list[Array]:
        outputs = compiled([images])
        return [outputs[0], outputs[1]]

    return run, read_metadata(path, entry)


@functools.cache
def _core() -> Any:
    """One for the life of the process.

    The first to compile gives its thread a signal stack. If the last one is freed on another thread
    (by a collected cycle, say), that stack is freed but stays set, and the next signal, such as
    Ctrl-C, ends the process (OpenVINO 2026.4).
    """
    return import_optional("openvino").Core()
