"""Which weights does a file hold, and how do they move into a model with other classes?

The readers of the kinds of files stand beside this one: yolov5_weights, darknet_weights,
resnet_weights. All give `Weights`, and raise WeightsError for a file they cannot use.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.class_names import match_classes
from models.detector import Detector


class WeightsError(ValueError):
    """A weight file is unsafe, foreign or cut short; the message says which and what was wanted."""


@dataclass(frozen=True)
class Weights:
    """What a file of a detector or a backbone holds."""

    architecture: str  # "yolov5n", "yolov3", ...; of a backbone "resnet50", "darknet53"
    classes: tuple[str, ...]  # in label order; empty for a backbone
    state: dict[str, Tensor]  # float32, names as in that model


def transfer(weights: Weights, model: Detector) -> list[str]:
    """Copy weights into a model that may have other classes. -> its classes without a counterpart.

    Rows of classes move by the meaning of their names, everything else moves whole; a class without
    a counterpart keeps its random start. An example: weights of (person, airplane, tv) into a model
    of (tvmonitor, fish). With one anchor, a bias has 5 rows of the box and one per class:

        weights   x y w h o | person airplane tv
        model     x y w h o | tv     fish's own random start          -> ["fish"]

    Weights without classes are a backbone's and go into `model.backbone`.
    Raises WeightsError where they do not fit.
    """
    if not weights.classes:
        _fill_backbone(weights, model)
        return list(model.classes)

    start, merged = model.state_dict(), dict(weights.state)
    origins = match_classes(model.classes, weights.classes)
    for name, groups in model.class_rows().items():
        if name not in merged or merged[name].shape[0] % groups:
            raise _misfit(weights)
        old = merged[name].unflatten(0, (groups, -1))  # (groups, shared + C of the weights, ...)
        new = start[name].clone().unflatten(0, (groups, -1))  # (groups, shared + C, ...)
        shared = new.shape[1] - len(model.classes)  # rows that belong to no class
        if old.shape[1] - len(weights.classes) != shared or old.shape[2:] != new.shape[2:]:
            raise _misfit(weights)
        new[:, :shared] = old[:, :shared]
        for row, origin in enumerate(origins):
            if origin is not None:
                new[:, shared + row] = old[:, shared + origin]
        merged[name] = new.flatten(0, 1)
    if _shapes(merged) != _shapes(start):
        raise _misfit(weights)
    model.load_state_dict(merged)
    return [name for name, origin in zip(model.classes, origins, strict=True) if origin is None]


def _fill_backbone(weights: Weights, model: Detector) -> None:
    backbone = getattr(model, "backbone", None)
    fits = isinstance(backbone, nn.Module) and _shapes(backbone.state_dict()) == _shapes(
        weights.state
    )
    if not fits:
        raise WeightsError(f"{weights.architecture} is not this model's backbone")
    assert isinstance(backbone, nn.Module)
    backbone.load_state_dict(weights.state)


def _misfit(weights: Weights) -> WeightsError:
    return WeightsError(f"weights of {weights.architecture} do not fit this model")


def _shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}
