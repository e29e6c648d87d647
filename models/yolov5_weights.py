"""Reading official YOLOv5 v6/v7 checkpoints, which are pickles of the whole module."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.unpickling import Stub, load_stubbed
from models.weights import Weights, WeightsError
from models.yolov5 import SIZES, YoloV5


def read_yolov5(path: Path) -> Weights:
    """Read an official YOLOv5 v6/v7 checkpoint, running none of it.

    Which size it is follows from the shapes of its tensors. Raises WeightsError for any other file.
    """
    module = _module(path, load_stubbed(path))
    state = dict(_tensors(module))
    state.pop("model.24.anchor_grid", None)  # v6.0 kept the anchors a second time, in pixels
    names = module.__dict__.get("names") or ()
    names = names if isinstance(names, dict) else dict(enumerate(names))
    classes = tuple(str(names[i]) for i in sorted(names))

    shapes = {name: value.shape for name, value in state.items()}
    for letter in SIZES:
        with torch.device("meta"):  # shapes without numbers
            expected = YoloV5(letter, classes).state_dict()
        if shapes == {name: value.shape for name, value in expected.items()}:
            return Weights(f"yolov5{letter}", classes, state)
    raise WeightsError(
        f"{path}: want YOLOv5 n, s, m, l or x of v6/v7, {_other_version(state, len(classes))}"
    )


def _module(path: Path, content: Any) -> Stub:
    """The module in a checkpoint: the averaged one where training kept both, else the only one."""
    content = content if isinstance(content, dict) else {"model": content}
    module = content.get("model") if content.get("ema") is None else content["ema"]
    if not isinstance(module, Stub):
        kind = f"an object of type {type(module).__name__}"
        held = kind if module is not None else [str(key) for key in content][:8]
        raise WeightsError(
            f"{path}: want a YOLOv5 checkpoint with a module under 'model', found {held}"
        )
    # A DataParallel wraps the module in its attribute `module`.
    wrapped: Stub = (module.__dict__.get("_modules") or {}).get("module", module)
    return wrapped


def _tensors(module: Stub, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """(name, float32 tensor) of a stubbed module and its children, named as state_dict would.

    An nn.Module keeps parameters, buffers and children in dictionaries among its attributes, which
    a stub has too: {"_parameters": {"weight": ...}, "_modules": {"conv": stub, ...}, ...}.
    """
    content = module.__dict__
    transient = content.get("_non_persistent_buffers_set") or ()
    for group in ("_parameters", "_buffers"):
        for name, value in (content.get(group) or {}).items():
            if isinstance(value, Tensor) and name not in transient:
                value = value.detach()
                yield prefix + name, value.float() if value.is_floating_point() else value
    for name, child in (content.get("_modules") or {}).items():
        if isinstance(child, Stub):
            yield from _tensors(child, f"{prefix}{name}.")


def _other_version(state: dict[str, Tensor], classes: int) -> str:
    """What a file is whose tensors fit no size, as the end of a sentence."""
    anchors, bias = state.get("model.24.anchors"), state.get("model.24.m.0.bias")
    if any(".dfl." in name for name in state):
        return "this is an anchor-free 'u' model"
    if any(name.startswith("model.33.") for name in state):
        return "this is a P6 model (1280 pixels)"
    if any(name.startswith("model.0.conv.conv.") for name in state):
        return "this is a checkpoint from before v6 (Focus layer)"
    if any(name.endswith(".conv.bias") for name in state):
        return "this one was saved for prediction: batch norm is folded into its convolutions"
    ours = anchors is not None and anchors.shape == (3, 3, 2)
    if ours and bias is not None and len(bias) != 3 * (5 + classes):
        return f"this one names {classes} classes and its heads have {len(bias) / 3 - 5:g}"
    return f"this file's {len(state)} tensors fit none of them"
