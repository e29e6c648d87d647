"""Checkpoints: plain dictionaries of tensors and numbers, written whole or not at all, read without running code."""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import torch

from evaluate.tables import InputError, written_whole
from harness.config import Recipe
from models.losses import Gains
from models.weights import Weights, WeightsError, read_yolov5
from models.yolov5 import YoloV5

FORMAT = "detection-harness 1"


def build(recipe: Recipe, classes: tuple[str, ...]) -> YoloV5:
    """The recipe's network with random weights. Raises InputError for a model that does not exist."""
    if recipe.model not in {f"yolov5{size}" for size in "nsmlx"}:
        raise InputError(f"recipe: model={recipe.model}: want yolov5n, yolov5s, yolov5m, yolov5l or yolov5x")
    gains = Gains(recipe.box_gain, recipe.object_gain, recipe.class_gain, recipe.anchor_ratio_max, recipe.balance)
    return YoloV5(recipe.model[-1], classes, recipe.head, gains)


def save(content: dict[str, Any], path: Path) -> None:
    """Write to `path` whole or not at all."""
    with written_whole(path) as scratch:
        torch.save({"format": FORMAT, **content}, scratch)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote. Raises InputError for another file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path}: want a checkpoint of this harness: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: want a checkpoint of this harness, this is another PyTorch file")
    return content


def describe(recipe: Recipe, model: YoloV5) -> dict[str, Any]:
    """What `load_detector` needs beside the state: the recipe and the classes."""
    return {"recipe": dataclasses.asdict(recipe), "classes": list(model.classes)}


def read_weights(path: Path) -> tuple[Weights, Recipe]:
    """Weights and recipe of a run folder, one of our checkpoints, or an official YOLOv5 file.

    An official file comes with the default recipe of its size. Raises InputError naming the file.
    """
    path = _in_run(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; want a run folder, a checkpoint or an official yolov5 .pt")
    try:
        if _is_ours(path):
            content = load(path)
            try:
                recipe = Recipe(**content["recipe"])
                return Weights(recipe.model, tuple(content["classes"]), content["state"]), recipe
            except (KeyError, TypeError) as error:
                raise InputError(f"{path}: want weights this version wrote, such as best.pt: {error}") from None
        weights = read_yolov5(path)
    except WeightsError as error:
        raise InputError(str(error)) from error
    return weights, Recipe(weights.architecture)


def load_detector(path: Path) -> tuple[YoloV5, Recipe]:
    """A detector ready to predict, from anything `read_weights` reads."""
    weights, recipe = read_weights(path)
    model = build(recipe, weights.classes)
    model.load_state_dict(weights.state)
    return model.eval(), recipe


def _in_run(path: Path) -> Path:
    """A run folder's best weights, those so far where it has not finished."""
    if not path.is_dir():
        return path
    return next((path / name for name in ("best.pt", "best-so-far.pt") if (path / name).is_file()), path / "best.pt")


def _is_ours(path: Path) -> bool:
    """Whether the zip holds no class of another program, which is so for what `save` wrote."""
    try:
        return not torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (ValueError, RuntimeError):
        return False
