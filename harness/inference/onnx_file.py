"""Detectors as .onnx files: written by PyTorch, run by ONNX Runtime on a CPU."""

import importlib
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evaluate.exceptions import InputError
from evaluate.tables import Array
from harness.inference.exported import (
    KEY,
    RunGraph,
    import_optional,
    last_line,
    read_metadata,
)
from models.detector import Detector

OPSET = 18


class Decoded(nn.Module):
    """A detector as one function: images (B, 3, H, W) in [0, 1] -> boxes, scores, decoded."""

    def __init__(self, detector: Detector):
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.detector.decode(self.detector(images))


def write_onnx(model: Detector, metadata: str, path: Path) -> None:
    """Write a detector for any batch, and for any height and width in steps of its stride."""
    stride = model.stride_max
    batch, rows, cols = (torch.export.Dim(name, min=1) for name in ("batch", "rows", "cols"))
    # Sizes that differ from each other: the graph must not take one dimension for another.
    example = torch.rand(2, 3, 3 * stride, 5 * stride)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about itself
        program = torch.onnx.export(
            Decoded(model.eval()),
            (example,),
            dynamo=True,
            dynamic_shapes={"images": {0: batch, 2: stride * rows, 3: stride * cols}},
            input_names=["images"],
            output_names=["xyxy", "scores"],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props[KEY] = metadata
    program.save(path)


def read_onnx(path: Path, precision: str) -> tuple[RunGraph, dict[str, Any]]:
    """What runs the file, and its metadata. Raises InputError for a file that is not ours."""
    if precision not in ("auto", "float32"):
        raise InputError(f"{path}: ONNX Runtime computes in float32, not in {precision}")
    onnxruntime = import_optional("onnxruntime")
    errors = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (errors.Fail, errors.InvalidProtobuf, errors.InvalidGraph, errors.NoSuchFile) as error:
        raise InputError(f"{path}: want a file of `harness export`: {last_line(error)}") from None
    metadata = read_metadata(path, session.get_modelmeta().custom_metadata_map.get(KEY))

    def run(images: Array) -> list[Array]:
        outputs: list[Array] = session.run(None, {"images": images})
        return outputs

    return run, metadata
