"""Detectors ready to predict: by PyTorch, or exported to a file that another runtime computes.

ONNX Runtime and OpenVINO are imported only when a file of theirs is written or opened.
"""

from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from harness.device import pick_device, pick_precision
from harness.inference.exported import Exported, import_optional, write_metadata
from harness.inference.onnx_file import read_onnx, write_onnx
from harness.inference.openvino_file import read_openvino, write_openvino
from harness.weights import checkpoint
from models.detector import Detector

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
PACKAGES = {"onnx": ("onnx", "onnxscript"), "openvino": ("onnx", "onnxscript", "openvino")}


def open_model(path: Path, device: str, precision: str) -> tuple[Detector, int, torch.dtype]:
    """A detector on its device; the long side it was trained for; the dtype of its trunk.

    `path` is anything `checkpoint.load_detector` reads, or a file that `export` wrote. The dtype is
    for `predict`: an exported file takes float32, whatever it computes in. Raises InputError for
    other files.
    """
    if path.suffix in SUFFIXES.values():
        if device not in ("auto", "cpu"):
            raise InputError(
                f"{path}: an exported model runs on the CPU, not on {device}; "
                "want its weights for that"
            )
        read = read_onnx if path.suffix == SUFFIXES["onnx"] else read_openvino
        run, metadata = read(path, precision)
        exported = Exported(run, tuple(metadata["classes"]), metadata["stride"])
        return exported, metadata["size"], torch.float32

    on = pick_device(device)
    model, recipe = checkpoint.load_detector(path)
    fold_batch_norms(model)  # on the CPU, before weights change their layout
    model = model.to(on).to(memory_format=torch.channels_last)
    return model, recipe.size, pick_precision(precision, on)


def fold_batch_norms(module: nn.Module) -> None:
    """Put each batch norm into the convolution before it, in place: equal output, a tenth faster.

    In prediction a batch norm is a factor and an offset per channel, which a convolution's weights
    and bias can carry.
    """
    before: nn.Module = module
    for name, child in module.named_children():
        # Children come in the order of the network: the one before a batch norm feeds it.
        if isinstance(child, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            folded = fuse_conv_bn_eval(before, child)
            before.weight, before.bias = folded.weight, folded.bias
            setattr(module, name, nn.Identity())
        fold_batch_norms(child)
        before = child


def export(model: Detector, size: int, path: Path, to: Literal["onnx", "openvino"]) -> None:
    """Write a detector on the CPU as one .onnx, or as OpenVINO's .xml with its .bin beside it.

    `size` is the long side it was trained for. Raises InputError for another suffix, and when a
    package that this needs is not installed.
    """
    if path.suffix != SUFFIXES[to]:
        raise InputError(f"{path}: want a name that ends in {SUFFIXES[to]}")
    for name in PACKAGES[to]:  # before the export, which takes long
        import_optional(name)
    metadata = write_metadata(model, size)
    path.parent.mkdir(parents=True, exist_ok=True)
    if to == "openvino":
        write_openvino(model, metadata, path)
        return
    with written_whole(path) as scratch:
        write_onnx(model, metadata, scratch)
