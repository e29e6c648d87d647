"""A detector as the pipeline wants it."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from evaluate.sweep.thresholds import apply
from evaluate.tracking.video_table import Found
from harness.device import device_of
from harness.images.letterbox import Image
from harness.images.photos import Photos
from harness.inference.predict import predict
from harness.video.pipeline import Finder
from models.detector import Detector


def finder(
    model: Detector, *, size: int, precision: torch.dtype, conf_min: float, iou_max: float
) -> Finder:
    """What the model finds on pictures, after NMS. A GPU looks at eight together, a CPU at each alone."""

    def find(images: list[Image]) -> list[Found]:
        image_ids = tuple(map(str, range(len(images))))
        candidates = predict(
            model,
            _InMemory(images),
            image_ids,
            size=size,
            batch=len(images),
            conf_min=conf_min,
            precision=precision,
            threads=1,
        )
        kept = apply(candidates, conf_min, iou_max)
        untracked = np.zeros(len(kept), np.int32)
        return [
            Found(kept.label[rows], kept.xyxy[rows], kept.score[rows], untracked[rows])
            for rows in kept.rows_by_image()
        ]

    return Finder(find, model.classes, 1 if device_of(model).type == "cpu" else 8)


class _InMemory(Photos):
    """Photos that are decoded already."""

    def __init__(self, images: Sequence[Image]):
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Image:
        return self._images[index]

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        return [(image.shape[0], image.shape[1]) for image in self._images]
