"""What every exported file has in common: how it is run, and our entry in its metadata.

An exported file stands alone: it takes images of any batch and size, decodes boxes and scores
itself, and holds class names, stride and image size. What runs it is a `Detector` like any other,
so that everything that predicts takes it.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evaluate.exceptions import InputError
from evaluate.tables import Array
from models.detector import Detector

KEY = "detection-harness"  # of our entry in a file's metadata

# images (B, 3, H, W) float32 in [0, 1] -> boxes and scores as `Detector.decode` gives them
RunGraph = Callable[[Array], list[Array]]


class Exported(Detector):
    """Runs an exported file. Raw output is boxes and scores already."""

    def __init__(self, run: RunGraph, classes: tuple[str, ...], stride_max: int):
        super().__init__()
        self.run, self.classes, self.stride_max = run, classes, stride_max

    def forward(self, images: Tensor) -> list[Tensor]:
        return [torch.from_numpy(array) for array in self.run(images.contiguous().numpy())]

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        xyxy, scores = raw
        return xyxy, scores


def write_metadata(model: Detector, size: int) -> str:
    """The entry of a detector that was trained for `size` pixels."""
    return json.dumps({"classes": model.classes, "stride": model.stride_max, "size": size})


def read_metadata(path: Path, entry: str | None) -> dict[str, Any]:
    """classes, stride and size. Raises InputError for a file without our entry."""
    if entry is None:
        raise InputError(f"{path}: want a file of `harness export`, this model is from elsewhere")
    metadata: dict[str, Any] = json.loads(entry)
    return metadata


def import_optional(name: str) -> Any:
    """A package that only exported files need. Raises InputError, saying how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"this needs {name}: pip install {name}") from None


def last_line(error: Exception) -> str:
    """The last line of a message that says something: runtimes put a trace before it."""
    return [line.strip() for line in str(error).splitlines() if line.strip()][-1]
