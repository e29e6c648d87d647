"""A detector as the video pipeline wants it: images in memory -> boxes after NMS."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from evaluate.sweep.thresholds import apply
from evaluate.tracking.video_detections import FrameBoxes
from harness.device import device_of
from harness.images.letterbox import Image
from harness.images.photos import Photos
from harness.inference.backends import open_model
from harness.inference.predict import predict
from harness.video.pipeline import FrameDetector
from harness.weights.catalogue import resolve_weights
from models.detector import Detector

GPU_BATCH = 8  # frames; a CPU gains nothing from more than one


def open_detector(
    weights: str, *, device: str, size: int | None, conf_min: float, iou_max: float
) -> FrameDetector:
    """The detector that WEIGHTS names; `size` None takes the size it was trained at.

    Raises InputError for weights that are missing or cannot be read.
    """
    model, trained_size, precision = open_model(resolve_weights(weights), device, "auto")
    return frame_detector(
        model,
        size=size or trained_size,
        precision=precision,
        conf_min=conf_min,
        iou_max=iou_max,
    )


def frame_detector(
    model: Detector, *, size: int, precision: torch.dtype, conf_min: float, iou_max: float
) -> FrameDetector:
    """A model with its thresholds. A GPU looks at GPU_BATCH frames together, a CPU at one."""

    def detect(images: list[Image]) -> list[FrameBoxes]:
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
            FrameBoxes(kept.label[rows], kept.xyxy[rows], kept.score[rows], untracked[rows])
            for rows in kept.rows_by_image()
        ]

    batch = 1 if device_of(model).type == "cpu" else GPU_BATCH
    return FrameDetector(detect, model.classes, batch)


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
