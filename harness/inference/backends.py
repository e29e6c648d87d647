"""Detectors ready to predict: by PyTorch, or exported to a file for ONNX Runtime or OpenVINO on a CPU.

An exported file stands alone: it takes images of any batch and size, decodes boxes and scores itself, and holds class
names, stride and image size. What runs it is a `Detector` like any other, so that everything that predicts takes it.
"""

import functools
import importlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from evaluate.tables import Array
from harness.device import pick_device, pick_precision
from harness.weights import checkpoint
from models.detector import Detector

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
OPSET = 18
KEY = "detection-harness"  # of our entry in a file's metadata
Run = Callable[
    [Array], list[Array]
]  # images (B, 3, H, W) float32 in [0, 1] -> boxes, scores as `Detector.decode`


class Exported(Detector):
    """Runs an exported file. Raw output is boxes and scores already."""

    def __init__(self, run: Run, classes: tuple[str, ...], stride_max: int):
        super().__init__()
        self.run, self.classes, self.stride_max = run, classes, stride_max

    def forward(self, images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(array) for array in self.run(images.contiguous().numpy())]

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        xyxy, scores = raw
        return xyxy, scores


class Decoded(nn.Module):
    """A detector as one function: images (B, 3, H, W) in [0, 1] -> boxes, scores as `Detector.decode` gives them."""

    def __init__(self, detector: Detector):
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.detector.decode(self.detector(images))


def open_model(path: Path, device: str, precision: str) -> tuple[Detector, int, torch.dtype]:
    """-> a detector on its device; the long side it was trained for; the dtype to tell `predict` for its trunk.

    `path` is anything `checkpoint.load_detector` reads, or a file that `export` wrote. Raises InputError for others.
    """
    if path.suffix in SUFFIXES.values():
        if device not in ("auto", "cpu"):
            raise InputError(
                f"{path}: an exported model runs on the CPU, not on {device}; want its weights for that"
            )
        read = _read_onnx if path.suffix == ".onnx" else _read_openvino
        run, about = read(path, precision)
        return Exported(run, tuple(about["classes"]), about["stride"]), about["size"], torch.float32
    on = pick_device(device)
    model, recipe = checkpoint.load_detector(path)
    fold_batch_norms(model)
    return (
        model.to(on).to(memory_format=torch.channels_last),
        recipe.size,
        pick_precision(precision, on),
    )


def fold_batch_norms(module: nn.Module) -> None:
    """Put each batch norm into the convolution that stands before it, in place: the same output, a tenth faster."""
    before: nn.Module = module
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            folded = fuse_conv_bn_eval(before, child)
            before.weight, before.bias = folded.weight, folded.bias
            setattr(module, name, nn.Identity())
        fold_batch_norms(child)
        before = child


def export(model: Detector, size: int, path: Path, to: Literal["onnx", "openvino"]) -> None:
    """Write a detector on the CPU, trained for `size`, as one .onnx, or as OpenVINO's .xml with its .bin beside it."""
    if path.suffix != SUFFIXES[to]:
        raise InputError(f"{path}: want a name that ends in {SUFFIXES[to]}")
    for name in ("onnx", "onnxscript", *(["openvino"] if to == "openvino" else [])):
        _imported(name)
    about = json.dumps({"classes": model.classes, "stride": model.stride_max, "size": size})
    path.parent.mkdir(parents=True, exist_ok=True)
    if to == "onnx":
        with written_whole(path) as scratch:
            _write_onnx(model, about, scratch)
        return
    with tempfile.TemporaryDirectory(dir=path.parent, suffix=".part") as folder:
        onnx, scratch = Path(folder, "model.onnx"), Path(folder, path.name)
        _write_onnx(model, about, onnx)
        graph = _openvino_core().read_model(onnx)
        graph.set_rt_info(about, KEY)
        _imported("openvino").save_model(graph, scratch, compress_to_fp16=False)
        os.replace(scratch.with_suffix(".bin"), path.with_suffix(".bin"))
        os.replace(scratch, path)


def _write_onnx(model: Detector, about: str, path: Path) -> None:
    stride = model.stride_max
    batch, rows, cols = (torch.export.Dim(name, min=1) for name in ("batch", "rows", "cols"))
    example = torch.rand(
        2, 3, 3 * stride, 5 * stride
    )  # sizes that differ: a graph must not take one for another
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
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
    program.model.metadata_props[KEY] = about
    program.save(path)


def _read_onnx(path: Path, precision: str) -> tuple[Run, dict[str, Any]]:
    if precision not in ("auto", "float32"):
        raise InputError(f"{path}: ONNX Runtime computes in float32, not in {precision}")
    onnxruntime = _imported("onnxruntime")
    errors = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (errors.Fail, errors.InvalidProtobuf, errors.InvalidGraph, errors.NoSuchFile) as error:
        raise InputError(f"{path}: want a file of `harness export`: {_reason(error)}") from None
    about = session.get_modelmeta().custom_metadata_map.get(KEY)

    def run(images: Array) -> list[Array]:
        found: list[Array] = session.run(None, {"images": images})
        return found

    return run, _about(path, about)


def _read_openvino(path: Path, precision: str) -> tuple[Run, dict[str, Any]]:
    if precision == "float16":
        raise InputError(f"{path}: want --precision float32 or bfloat16 with OpenVINO")
    core = _openvino_core()
    dtype = pick_precision(precision, torch.device("cpu"))
    settings = {
        "INFERENCE_PRECISION_HINT": "f32" if dtype == torch.float32 else "bf16",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    try:
        graph = core.read_model(path)
    except RuntimeError as error:
        raise InputError(f"{path}: want a file of `harness export`: {_reason(error)}") from None
    about = graph.get_rt_info(KEY).astype(str) if graph.has_rt_info(KEY) else None
    compiled = core.compile_model(graph, "CPU", settings)

    def run(images: Array) -> list[Array]:
        found = compiled([images])
        return [found[0], found[1]]

    return run, _about(path, about)


@functools.cache
def _openvino_core() -> Any:
    """One for the life of the process.

    The first to compile gives its thread a signal stack. If the last one goes on another thread (a collected cycle,
    say), that stack is freed but stays set, and the next signal, such as Ctrl-C, ends the process (OpenVINO 2026.4).
    """
    return _imported("openvino").Core()


def _about(path: Path, text: str | None) -> dict[str, Any]:
    """Our entry in a file's metadata. Raises InputError where it has none."""
    if text is None:
        raise InputError(f"{path}: want a file of `harness export`, this model is from elsewhere")
    about: dict[str, Any] = json.loads(text)
    return about


def _reason(error: Exception) -> str:
    """The last line that says something."""
    return [line.strip() for line in str(error).splitlines() if line.strip()][-1]


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"this needs {name}: pip install {name}") from None
