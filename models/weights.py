"""Reading weight files without running what is in them.

An official YOLOv5 `.pt` is a pickle of the whole module: `torch.load(weights_only=False)` would execute it,
`weights_only=True` refuses it. Here every class the file names must be on a short list of module classes; each is
replaced by an empty stub, and the tensors are collected from the stubs' dictionaries.
"""

import re
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.class_names import match_classes
from models.yolov5 import SIZES, YoloV5

HARMLESS = re.compile(
    r"models\.yolo\.(Model|DetectionModel|Detect)|models\.common\.\w+"
    r"|torch\.nn\.modules\.[\w.]+|torch\.torch_version\.TorchVersion"
    r"|numpy(\._core|\.core)?\.multiarray\.(scalar|_reconstruct)|numpy\.(ndarray|dtype|dtypes\.\w+|float64|float32|int64)"
    r"|pathlib(\._local)?\.(Posix|Windows|Pure\w*)?Path|datetime\.datetime|_codecs\.encode"
)
_STUBBING = threading.Lock()  # torch's list of permitted classes belongs to the process


class WeightsError(ValueError):
    """A weight file is unsafe, foreign or cut short; the message says which and what was wanted."""


@dataclass(frozen=True)
class Weights:
    """What a detector file holds."""

    architecture: str  # "yolov5n"
    classes: tuple[str, ...]
    state: dict[str, Tensor]  # float32, names as in models.yolov5


def read_yolov5(path: Path) -> Weights:
    """Read an official YOLOv5 v6/v7 checkpoint. Raises WeightsError for any other file, running none of it."""
    content = _load_stubbed(path)
    content = content if isinstance(content, dict) else {"model": content}
    module = content.get("ema") or content.get("model")  # training checkpoints keep the average in "ema"
    if not isinstance(module, _Stub):
        raise WeightsError(f"{path}: want a YOLOv5 checkpoint with a module under 'model', found {sorted(content)[:8]}")
    state = dict(_tensors(module))
    state.pop("model.24.anchor_grid", None)  # v6.0 kept the anchors a second time, in pixels
    names = module.__dict__.get("names", [])
    classes = tuple(names[i] for i in sorted(names)) if isinstance(names, dict) else tuple(names)
    for letter in SIZES:
        with torch.device("meta"):
            expected = YoloV5(letter, classes).state_dict()
        if expected.keys() == state.keys() and all(state[k].shape == v.shape for k, v in expected.items()):
            return Weights(f"yolov5{letter}", classes, state)
    raise WeightsError(f"{path}: want YOLOv5 n, s, m, l or x of v6/v7, {_what_else(state)}")


def transfer(weights: Weights, model: YoloV5) -> list[str]:
    """Copy weights into a model that may have other classes. -> the model's classes that had no counterpart.

    Box and objectness rows of the heads are copied whole, class rows by the meaning of their names; a class without
    counterpart keeps its random start.
    """
    wanted = model.state_dict()
    stem = "model.0.conv.weight"
    if wanted.keys() != weights.state.keys() or wanted[stem].shape != weights.state[stem].shape:
        raise WeightsError(f"weights of {weights.architecture} do not fit this model")
    source = match_classes(model.classes, weights.classes)
    merged = dict(weights.state)
    for name in [k for k in merged if re.fullmatch(r"model\.24\.m\.\d+\.(weight|bias)", k)]:
        old = merged[name].unflatten(0, (3, -1))  # (3 anchors, 5 + C, ...)
        new = wanted[name].clone().unflatten(0, (3, -1))
        new[:, :5] = old[:, :5]
        for row, origin in enumerate(source):
            if origin is not None:
                new[:, 5 + row] = old[:, 5 + origin]
        merged[name] = new.flatten(0, 1)
    model.load_state_dict(merged)
    return [name for name, origin in zip(model.classes, source, strict=True) if origin is None]


class _Stub:
    """Stands in for a class of the pickle: takes any arguments, does nothing with them, keeps its attributes."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def _load_stubbed(path: Path) -> Any:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except FileNotFoundError:
        raise
    except (ValueError, RuntimeError, OSError, zipfile.BadZipFile) as error:  # torch is not of one mind about damage
        raise WeightsError(
            f"{path}: want a PyTorch zip checkpoint, this file is something else or cut short"
        ) from error
    refused = sorted(name for name in names if not HARMLESS.fullmatch(name))
    if refused:
        raise WeightsError(
            f"{path}: refused, it would run {', '.join(refused[:5])}; want a YOLOv5 checkpoint, or one of this harness"
        )
    stubs: list[Any] = [(type(name.rpartition(".")[2], (_Stub,), {}), name) for name in names]
    with _STUBBING, torch.serialization.safe_globals(stubs):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises half a dozen kinds for a damaged archive
            raise WeightsError(f"{path}: cannot be read as a checkpoint: {str(error).splitlines()[0]}") from error


def _tensors(module: Any, prefix: str = "") -> Any:
    """(name, float32 tensor) of a stubbed module and its children, named as state_dict would."""
    content = module.__dict__
    kept = content.get("_non_persistent_buffers_set") or ()
    for group in ("_parameters", "_buffers"):
        for name, value in (content.get(group) or {}).items():
            if isinstance(value, Tensor) and name not in kept:
                value = value.detach()
                yield prefix + name, value.float() if value.is_floating_point() else value
    for name, child in (content.get("_modules") or {}).items():
        if isinstance(child, _Stub):
            yield from _tensors(child, f"{prefix}{name}.")


def _what_else(state: dict[str, Tensor]) -> str:
    if any(".dfl." in name for name in state):
        return "this is an anchor-free 'u' model"
    if any(name.startswith("model.33.") for name in state):
        return "this is a P6 model (1280 pixels)"
    if any(name.startswith("model.0.conv.conv.") for name in state):
        return "this is a checkpoint from before v6 (Focus layer)"
    return f"this file's {len(state)} tensors fit none of them"
