"""Reading weight files without running what is in them.

An official YOLOv5 `.pt` is a pickle of the whole module: `torch.load(weights_only=False)` would execute it,
`weights_only=True` refuses it. Here every class the file names must be on a short list of module classes; each is
replaced by an empty stub, and the tensors are collected from the stubs' dictionaries.
"""

import pickle
import re
import struct
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.class_names import match_classes
from models.detector import Detector
from models.yolov5 import SIZES, YoloV5

HARMLESS = re.compile(
    r"models\.yolo\.(Model|DetectionModel|Detect)|models\.common\.\w+"
    r"|torch\.nn\.modules\.[\w.]+|torch\.torch_version\.TorchVersion"
    r"|torch\.nn\.parallel\.data_parallel\.DataParallel"
    r"|numpy(\._core|\.core)?\.multiarray\.(scalar|_reconstruct)|numpy\.(ndarray|dtype|dtypes\.\w+|float64|float32|int64)"
    r"|pathlib(\._local)?\.(Posix|Windows|Pure\w*)?Path|datetime\.(datetime|timedelta|timezone)|argparse\.Namespace"
    r"|_codecs\.encode"
)
RELATIVES = {  # classes beyond these, by which a file of another model is known
    re.compile(
        r"ultralytics\..*"
    ): "of the ultralytics package: an anchor-free 'u' model, YOLOv8 or later",
    re.compile(r"models\.yolo\.Segment\w*"): "a segmentation model (-seg)",
    re.compile(r"models\.yolo\.Classif\w*"): "a classification model (-cls)",
}
_STUBBING = threading.Lock()  # torch's list of permitted classes belongs to the process


class WeightsError(ValueError):
    """A weight file is unsafe, foreign or cut short; the message says which and what was wanted."""


@dataclass(frozen=True)
class Weights:
    """What a file of a detector or a backbone holds."""

    architecture: str  # "yolov5n", "yolov3", ...; of a backbone "resnet50", "darknet53"
    classes: tuple[str, ...]  # none of a backbone
    state: dict[str, Tensor]  # float32, names as in that model


def read_yolov5(path: Path) -> Weights:
    """Read an official YOLOv5 v6/v7 checkpoint. Raises WeightsError for any other file, running none of it."""
    content = _load_stubbed(path)
    content = content if isinstance(content, dict) else {"model": content}
    module = (
        content.get("model") if content.get("ema") is None else content["ema"]
    )  # "ema": the average, in training
    if not isinstance(module, _Stub):
        found = (
            f"there a {type(module).__name__}"
            if module is not None
            else [str(key) for key in content][:8]
        )
        raise WeightsError(
            f"{path}: want a YOLOv5 checkpoint with a module under 'model', found {found}"
        )
    module = (module.__dict__.get("_modules") or {}).get(
        "module", module
    )  # what DataParallel wraps
    state = dict(_tensors(module))
    state.pop("model.24.anchor_grid", None)  # v6.0 kept the anchors a second time, in pixels
    names = module.__dict__.get("names") or ()
    names = names if isinstance(names, dict) else dict(enumerate(names))
    classes = tuple(str(names[i]) for i in sorted(names))
    for letter in SIZES:
        with torch.device("meta"):
            expected = YoloV5(letter, classes).state_dict()
        if expected.keys() == state.keys() and all(
            state[k].shape == v.shape for k, v in expected.items()
        ):
            return Weights(f"yolov5{letter}", classes, state)
    raise WeightsError(
        f"{path}: want YOLOv5 n, s, m, l or x of v6/v7, {_what_else(state, len(classes))}"
    )


def read_resnet(path: Path) -> Weights:
    """Read torchvision's state dictionary of a ResNet, less its classifier. Raises WeightsError for any other file."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        ValueError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ) as error:
        raise WeightsError(f"{path}: cannot be read as a checkpoint: {_reason(error)}") from None
    names = [str(name) for name in state] if isinstance(state, dict) else []
    depth = {(8, 2): 18, (16, 2): 34, (16, 3): 50, (33, 3): 101}.get(
        (
            sum(bool(re.fullmatch(r"layer\d\.\d+\.conv1\.weight", name)) for name in names),
            sum(name.startswith("layer1.0.conv") for name in names),
        )
    )
    if depth is None:
        raise WeightsError(
            f"{path}: want torchvision's ResNet-18, 34, 50 or 101, found {[str(n) for n in names[:4]]}"
        )
    kept = {name: value for name, value in state.items() if not name.startswith("fc.")}
    for name in [
        name for name in kept if name.endswith("running_var")
    ]:  # files older than batch norm's counter
        kept.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return Weights(f"resnet{depth}", (), kept)


def transfer(weights: Weights, model: Detector) -> list[str]:
    """Copy weights into a model that may have other classes. -> the model's classes that had no counterpart.

    Class rows move by the meaning of their names, everything else whole; a class without counterpart keeps its random
    start. Weights without classes are a backbone's and go into `model.backbone`. Raises WeightsError where they do not
    fit.
    """
    if not weights.classes:
        backbone = getattr(model, "backbone", None)
        if not isinstance(backbone, nn.Module) or _shapes(backbone.state_dict()) != _shapes(
            weights.state
        ):
            raise WeightsError(f"{weights.architecture} is not this model's backbone")
        backbone.load_state_dict(weights.state)
        return list(model.classes)
    start, merged = model.state_dict(), dict(weights.state)
    source = match_classes(model.classes, weights.classes)
    for name, groups in model.class_rows().items():
        if name not in merged or merged[name].shape[0] % groups:
            raise WeightsError(f"weights of {weights.architecture} do not fit this model")
        old = merged[name].unflatten(0, (groups, -1))
        new = start[name].clone().unflatten(0, (groups, -1))
        shared = new.shape[1] - len(model.classes)  # rows that belong to no class
        if old.shape[1] - len(weights.classes) != shared or old.shape[2:] != new.shape[2:]:
            raise WeightsError(f"weights of {weights.architecture} do not fit this model")
        new[:, :shared] = old[:, :shared]
        for row, origin in enumerate(source):
            if origin is not None:
                new[:, shared + row] = old[:, shared + origin]
        merged[name] = new.flatten(0, 1)
    if _shapes(merged) != _shapes(start):
        raise WeightsError(f"weights of {weights.architecture} do not fit this model")
    model.load_state_dict(merged)
    return [name for name, origin in zip(model.classes, source, strict=True) if origin is None]


def _shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}


class _Stub:
    """Stands in for a class of the pickle: takes any arguments, does nothing with them, keeps its attributes."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def foreign_classes(path: Path) -> list[str]:
    """Names of the classes and functions a PyTorch zip wants beyond PyTorch's plain ones, sorted; it runs none of them.

    None for what `torch.load(weights_only=True)` reads as it is. Raises WeightsError for a file of another format.
    """
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except FileNotFoundError:
        raise
    except (
        ValueError,
        RuntimeError,
        OSError,
        EOFError,
        struct.error,
        pickle.UnpicklingError,
    ) as error:
        # torch is not of one mind about damage
        raise WeightsError(
            f"{path}: want a PyTorch zip checkpoint, this file is something else or cut short"
        ) from error


def _load_stubbed(path: Path) -> Any:
    names = foreign_classes(path)
    refused = [name for name in names if not HARMLESS.fullmatch(name)]
    for relative, what in RELATIVES.items():
        if refused and all(relative.fullmatch(name) for name in refused):
            raise WeightsError(f"{path}: want YOLOv5 n, s, m, l or x of v6/v7, this is {what}")
    if refused:
        raise WeightsError(
            f"{path}: refused, it would run {', '.join(refused[:5])}; want a YOLOv5 checkpoint, or one of this harness"
        )
    stubs: list[Any] = [(type(name.rpartition(".")[2], (_Stub,), {}), name) for name in names]
    with _STUBBING, torch.serialization.safe_globals(stubs):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises half a dozen kinds for a damaged archive
            raise WeightsError(
                f"{path}: cannot be read as a checkpoint: {_reason(error)}"
            ) from error


def _reason(error: Exception) -> str:
    """One line of torch's, less its advice to try again and let the file run."""
    cause = re.search(r"(?:WeightsUnpickler error:|\n\n)\s*(.+?)(?:\. |\.?\n|$)", str(error))
    if isinstance(error, pickle.UnpicklingError) and cause:
        return cause[1]
    return f"{type(error).__name__}: {error}".splitlines()[0]


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


def _what_else(state: dict[str, Tensor], classes: int) -> str:
    anchors, bias = state.get("model.24.anchors"), state.get("model.24.m.0.bias")
    if any(".dfl." in name for name in state):
        return "this is an anchor-free 'u' model"
    if any(name.startswith("model.33.") for name in state):
        return "this is a P6 model (1280 pixels)"
    if any(name.startswith("model.0.conv.conv.") for name in state):
        return "this is a checkpoint from before v6 (Focus layer)"
    if any(name.endswith(".conv.bias") for name in state):
        return "this one was saved for prediction: batch norm is folded into its convolutions"
    if (
        anchors is not None
        and anchors.shape == (3, 3, 2)
        and bias is not None
        and len(bias) != 3 * (5 + classes)
    ):
        return f"this one names {classes} classes and its heads have {len(bias) / 3 - 5:g}"
    return f"this file's {len(state)} tensors fit none of them"
