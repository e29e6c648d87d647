"""What a rough trunk changes, beside float32."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from evaluate.tables import GroundTruth
from harness.images.photos import Photos
from harness.inference.batches import predict_batches
from harness.inference.predict import forward, predict
from models.detector import Detector


def beside_float32(
    model: Detector,
    paths: Sequence[Path],
    truth: GroundTruth | None,
    *,
    size: int,
    precision: torch.dtype,
) -> Iterator[str]:
    """What `precision` in the trunk changes, a line each: boxes and scores; AP50, where there is truth for it.

    `paths[i]` shows `truth.image_ids[i]`. Looks at few of them, evenly over all: at 8 for the boxes; for AP50, which is
    that at confidence 0.001 and NMS IoU 0.6, at one in 16, but 8 to 32.
    """
    few = _spread(len(paths), 8)
    yield moved_by(
        model, Photos([paths[i] for i in few], cache_bytes=0), size=size, precision=precision
    )
    few = _spread(len(paths), max(8, min(32, len(paths) // 16)))
    if truth is None or (answers := truth.of_images(few)).difficult.all():
        return
    from evaluate.metrics.voc import voc_map
    from evaluate.nms import nms

    photos, aps = Photos([paths[i] for i in few]), []
    for dtype in (torch.float32, precision):
        ids, classes = answers.image_ids, answers.classes
        found = predict(model, photos, ids, classes=classes, size=size, batch=1, precision=dtype)
        aps.append(voc_map(nms(found, 0.6), answers).map)
    full, rough = aps
    told = f"{_name(precision)} beside float32: AP50 is {rough:.4f} in place of {full:.4f} ({rough - full:+.4f})"
    yield f"{told} on {len(few)} of {len(paths):,} photos at {size} pixels"


@torch.inference_mode()
def moved_by(model: Detector, photos: Photos, *, size: int, precision: torch.dtype) -> str:
    """What `precision` in the trunk changes, said in one line: boxes beside float32's."""
    model.eval()
    count, pixels, scores = 0, 0.0, 0.0
    for _, images, _ in predict_batches(
        photos, size=size, stride=model.stride_max, batch=1, threads=1
    ):
        (xyxy, score), (other_xyxy, other_score) = (
            model.decode(forward(model, images, dtype)) for dtype in (torch.float32, precision)
        )
        sure = score >= 0.25  # (1, N, C)
        of_box = sure.any(2)
        if of_box.any():
            count += int(of_box.sum())
            pixels = max(pixels, (xyxy - other_xyxy)[of_box].abs().max().item())
            scores = max(scores, (score - other_score)[sure].abs().max().item())
    what = f"{_name(precision)} beside float32: the {count} boxes of score 0.25 or more on {len(photos)} photos"
    return f"{what} move by {pixels:.1f} of {size} pixels at most, their scores by {scores:.3f}"


def _spread(count: int, most: int) -> list[int]:
    """`most` positions of `count`, or all where there are fewer, evenly over them."""
    some = min(count, most)
    return [i * count // some for i in range(some)]


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")
