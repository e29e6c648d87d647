"""Batches for prediction: every photo once, in the smallest letterbox that its shape allows."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from evaluate.exceptions import InputError
from evaluate.tables import Array
from harness.images.batching import filled_batches, split_order
from harness.images.letterbox import Image, Letterbox, letterbox
from harness.images.photos import Photos


def predict_batches(
    photos: Photos, *, size: int, stride: int, batch: int, threads: int, pinned: bool = False
) -> Iterator[tuple[Array, Tensor, list[Letterbox]]]:
    """Per batch: positions in `photos` (B,); images (B, 3, H, W) uint8; the letterbox of each.

    A photo's long side becomes `size`; H and W are the next multiples of `stride`, so that little
    grey is computed: at 640 and stride 32, a photo of 375 x 500 has a canvas of 480 x 640.

    Only photos with the same canvas share a batch. So what a photo gives does not depend on
    `batch`, but batches come in the order of shapes, not of photos. Raises InputError when `size`
    is no multiple of `stride`.
    """
    if size % stride:
        raise InputError(f"size {size}: want a multiple of the network's stride, {stride}")
    canvases = [_canvas(shape, size, stride) for shape in photos.sizes]
    positions_of: dict[tuple[int, int], list[int]] = {}
    for position, canvas in enumerate(canvases):
        positions_of.setdefault(canvas, []).append(position)

    def fill(position: int, out: Image) -> Letterbox:
        out[:], place = letterbox(photos[position], out.shape[:2])
        return place

    batches = [
        part for group in positions_of.values() for part in split_order(np.array(group), batch)
    ]
    return filled_batches(batches, [canvases[part[0]] for part in batches], fill, threads, pinned)


def _canvas(photo: tuple[int, int], size: int, stride: int) -> tuple[int, int]:
    """(H, W) for a photo (h, w) whose long side becomes `size`: the next multiples of `stride`."""
    # -(-a // b) is a / b rounded up, in whole numbers: no photo is a pixel off by a rounding error.
    h, w = (-(-size * side // (max(photo) * stride)) * stride for side in photo)
    return h, w
