"""What a trunk in bfloat16 or float16 changes, measured beside float32 on a few photos."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from evaluate.tables import GroundTruth
from harness.device import precision_name
from harness.images.photos import Photos
from harness.inference.batches import predict_batches
from harness.inference.forward import forward
from harness.inference.predict import predict
from harness.inference.validation import CONF_MIN, validation_ap50
from models.detector import Detector

CONFIDENT = 0.25  # score from which a box counts in the comparison of boxes
BOX_PHOTOS = 8
AP_PHOTOS_MIN, AP_PHOTOS_MAX = 8, 32


def beside_float32(
    model: Detector,
    paths: Sequence[Path],
    truth: GroundTruth | None,
    *,
    size: int,
    precision: torch.dtype,
) -> Iterator[str]:
    """What `precision` changes, one line each: boxes and scores; AP50, if there is truth for it.

    `paths[i]` shows `truth.image_ids[i]`. Only a few photos are tried, evenly over all: 8 for the
    boxes; for AP50 one in 16, but at least 8 and at most 32.
    """
    # How far boxes and scores move needs no truth.
    few = _spread(len(paths), BOX_PHOTOS)
    photos = Photos([paths[i] for i in few], cache_bytes=0)
    yield moved_by(model, photos, size=size, precision=precision)

    # What that does to AP50 needs one, and more photos.
    few = _spread(len(paths), max(AP_PHOTOS_MIN, min(AP_PHOTOS_MAX, len(paths) // 16)))
    if truth is None or (few_truth := truth.of_images(few)).difficult.all():
        return
    photos = Photos([paths[i] for i in few])
    full, rough = (
        _ap50(model, photos, few_truth, size=size, precision=dtype)
        for dtype in (torch.float32, precision)
    )
    yield (
        f"{precision_name(precision)} beside float32: AP50 is {rough:.4f} in place of {full:.4f} "
        f"({rough - full:+.4f}) on {len(few)} of {len(paths):,} photos at {size} pixels"
    )


@torch.inference_mode()
def moved_by(model: Detector, photos: Photos, *, size: int, precision: torch.dtype) -> str:
    """How far `precision` moves boxes and scores from float32's, in one line."""
    model.eval()
    count, pixels, scores = 0, 0.0, 0.0
    for _, images, _ in predict_batches(
        photos, size=size, stride=model.stride_max, batch=1, threads=1
    ):
        (xyxy, score), (rough_xyxy, rough_score) = (
            model.decode(forward(model, images, dtype)) for dtype in (torch.float32, precision)
        )
        # Boxes that float32 is sure of; the same rows of the rough output are the same boxes.
        confident = score >= CONFIDENT  # (1, N, C)
        boxes = confident.any(2)  # (1, N)
        if boxes.any():
            count += int(boxes.sum())
            pixels = max(pixels, (xyxy - rough_xyxy)[boxes].abs().max().item())
            scores = max(scores, (score - rough_score)[confident].abs().max().item())
    return (
        f"{precision_name(precision)} beside float32: the {count} boxes of score {CONFIDENT} or "
        f"more on {len(photos)} photos move by {pixels:.1f} of {size} pixels at most, "
        f"their scores by {scores:.3f}"
    )


def _ap50(
    model: Detector, photos: Photos, truth: GroundTruth, *, size: int, precision: torch.dtype
) -> float:
    candidates = predict(
        model,
        photos,
        truth.image_ids,
        classes=truth.classes,
        size=size,
        batch=1,
        conf_min=CONF_MIN,
        precision=precision,
    )
    return validation_ap50(candidates, truth)


def _spread(count: int, most: int) -> list[int]:
    """`most` positions of `count`, or all if there are fewer, evenly over them."""
    few = min(count, most)
    return [i * count // few for i in range(few)]
