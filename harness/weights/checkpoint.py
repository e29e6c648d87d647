"""Checkpoints: plain dictionaries of tensors and numbers, written whole or not at all.

They are read without running code: torch.load with weights_only=True makes tensors, numbers,
strings and containers, and refuses everything else a pickle could ask for. Three kinds of files are
zips or pickles of PyTorch, told apart by content and not by name:

    ours                   a zip whose dictionary holds "format"
    torchvision's ResNets  a zip, or the older bare pickle, of nothing but tensors
    YOLOv5's               a zip that names classes of YOLOv5's own code
"""

import dataclasses
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from evaluate.exceptions import InputError
from evaluate.files import written_whole
from harness.build import build
from harness.recipe import Recipe, load_recipe
from harness.run_folder import weights_in
from models.darknet_weights import read_darknet
from models.detector import Detector
from models.resnet_weights import read_resnet
from models.unpickling import foreign_classes
from models.weights import Weights, WeightsError
from models.yolov5 import SIZES
from models.yolov5_weights import read_yolov5

FORMAT = "detection-harness 1"
_KEYS = {field.name for field in dataclasses.fields(Recipe)}
_RECIPE_OF = {"yolov3": "v3"} | {f"yolov5{size}": f"v5{size}" for size in SIZES}


def save(content: dict[str, Any], path: Path) -> None:
    """Write to `path` whole or not at all."""
    with written_whole(path) as scratch:
        torch.save({"format": FORMAT, **content}, scratch)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote. Raises InputError for another file."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, zipfile.BadZipFile, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: want a checkpoint of this harness: {reason}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: want a checkpoint of this harness, this is another PyTorch file")
    return content


def describe(recipe: Recipe, model: Detector) -> dict[str, Any]:
    """What `load_detector` needs beside the state: the recipe and the classes."""
    return {"recipe": dataclasses.asdict(recipe), "classes": list(model.classes)}


def read_weights(path: Path) -> tuple[Weights, Recipe | None]:
    """Weights and recipe of a run folder, one of our checkpoints, or an official file.

    Official files are YOLOv5's .pt and Darknet's yolov3.weights, which get the default recipe of
    their model, and the backbones darknet53.conv.74 and torchvision's ResNets, which have none.
    Raises InputError naming the file.
    """
    path = weights_in(path)
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; want a run folder, a checkpoint, or a name of "
            "`harness weights list`"
        )
    try:
        if _is_ours(path):
            return _read_ours(path)
        weights = _read_official(path)
    except WeightsError as error:
        raise InputError(str(error)) from error
    return weights, load_recipe(_RECIPE_OF[weights.architecture]) if weights.classes else None


def load_detector(path: Path) -> tuple[Detector, Recipe]:
    """A detector ready to predict, from anything `read_weights` reads except a backbone."""
    weights, recipe = read_weights(path)
    if recipe is None:
        raise InputError(
            f"{path}: is the backbone {weights.architecture}, no detector; "
            f"train one with weights={path}"
        )
    model = build(recipe, weights.classes)
    model.load_state_dict(weights.state)
    return model.eval(), recipe


def _read_ours(path: Path) -> tuple[Weights, Recipe]:
    content = load(path)
    try:
        # An older version may have written keys that no recipe has any more.
        known = {name: value for name, value in content["recipe"].items() if name in _KEYS}
        recipe = Recipe(**known)
        return Weights(recipe.model, tuple(content["classes"]), content["state"]), recipe
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: want weights this version wrote, such as best.pt: {error}"
        ) from None


def _is_ours(path: Path) -> bool:
    """Whether this is a zip of plain values with our mark, as `save` writes it."""
    if not _is_plain_zip(path):
        return False
    try:
        # "meta" reads shapes without numbers: this costs nothing, whatever the file's size.
        content = torch.load(path, map_location="meta", weights_only=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
        return False  # damaged; reading it as an official file says so
    return isinstance(content, dict) and "format" in content


def _is_plain_zip(path: Path) -> bool:
    """Whether this is a whole zip checkpoint that names no class of another program."""
    try:
        return not foreign_classes(path)
    except WeightsError:
        return False


def _read_official(path: Path) -> Weights:
    """Read by content: Darknet's files are bare numbers, all others come from PyTorch."""
    with open(path, "rb") as file:
        start = file.read(2)
    if start == b"PK":  # a zip
        return read_resnet(path) if _is_plain_zip(path) else read_yolov5(path)
    if start == b"\x80\x02":  # a bare pickle, torch's format before 1.6
        return read_resnet(path)
    return read_darknet(path)
