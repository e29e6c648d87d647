"""Batches for training and prediction, made by threads.

Threads, not processes: OpenCV lets go of the interpreter while it works, and a finished batch is already where it is
needed; sending images between processes costs as much as decoding them. Images are stored (B, H, W, 3) and handed
out as (B, 3, H, W), which is torch's channels_last without a copy.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from evaluate.exceptions import InputError
from evaluate.tables import Array, GroundTruth
from harness.images.letterbox import Frame, Image, letterbox
from harness.images.photos import Photos
from harness.training.augment import Augment, Sample, draw, render
from models.detector import Target

T = TypeVar("T")
AHEAD = 2  # batches in the making while the caller uses one


def train_batches(
    photos: Photos,
    truth: GroundTruth,
    *,
    augment: Augment,
    size: int,
    batch: int,
    seed: int,
    epoch: int,
    threads: int,
) -> Iterator[tuple[Tensor, list[Target]]]:
    """One epoch: each photo once, in random order. -> images (B, 3, size, size) uint8; a target an image.

    `photos[i]` shows `truth.image_ids[i]`. A sample depends on seed, epoch and its photo alone, not on the number of
    threads. Boxes marked difficult are left out, as VOC's lists do. The last batch holds what is left.
    """
    if len(photos) != len(truth.image_ids):
        raise InputError(f"{len(photos)} photos, but the truth lists {len(truth.image_ids)} images")
    known = truth.take(~truth.difficult)
    rows = list(known.rows_by_image())

    def sample(index: int) -> Sample:
        photo = photos[index]
        h, w = photo.shape[:2]
        return photo, known.label[rows[index]], known.xyxy[rows[index]].clip(0, [w, h, w, h])

    def fill(index: int, out: Image) -> Target:
        rng = np.random.default_rng([1, seed, epoch, index])
        labels, xyxy = render(draw(rng, index, len(photos), augment, len(out)), sample, out)
        return torch.from_numpy(labels), torch.from_numpy(xyxy)

    batches = _split(np.random.default_rng([0, seed, epoch]).permutation(len(photos)), batch)
    for _, images, targets in _filled(batches, [(size, size)] * len(batches), fill, threads):
        yield images, targets


def predict_batches(
    photos: Photos, *, size: int, stride: int, batch: int, threads: int, pinned: bool = False
) -> Iterator[tuple[Array, Tensor, list[Frame]]]:
    """Every photo once, letterboxed. -> positions in `photos` (B,); images (B, 3, H, W) uint8; a frame a photo.

    A photo's long side becomes `size`; H and W are the next multiples of `stride`. Only photos with the same H and W
    share a batch, so what a photo gives does not depend on `batch`. `pinned` images reach a GPU without a copy on the
    way. Raises InputError when `size` is no multiple of `stride`.
    """
    if size % stride:
        raise InputError(f"size {size}: want a multiple of the network's stride, {stride}")
    canvases = [_canvas(shape, size, stride) for shape in photos.sizes]
    alike: dict[tuple[int, int], list[int]] = {}
    for index, canvas in enumerate(canvases):
        alike.setdefault(canvas, []).append(index)

    def fill(index: int, out: Image) -> Frame:
        out[:], frame = letterbox(photos[index], out.shape[:2])
        return frame

    batches = [indices for group in alike.values() for indices in _split(np.array(group), batch)]
    return _filled(batches, [canvases[indices[0]] for indices in batches], fill, threads, pinned)


def _canvas(photo: tuple[int, int], size: int, stride: int) -> tuple[int, int]:
    """(H, W) for a photo (h, w) whose long side becomes `size`: the next multiples of `stride`."""
    h, w = (-(-size * side // (max(photo) * stride)) * stride for side in photo)
    return h, w


def _split(order: Array, batch: int) -> list[Array]:
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def _filled(
    batches: Sequence[Array],
    canvases: Sequence[tuple[int, int]],
    fill: Callable[[int, Image], T],
    threads: int,
    pinned: bool = False,
) -> Iterator[tuple[Array, Tensor, list[T]]]:
    """For each batch of positions and its (H, W): positions; images (B, 3, H, W) uint8; what `fill` returned.

    `fill(position, out)` runs on a thread and paints `out` (H, W, 3). Each batch has memory of its own.
    """
    cv2.setNumThreads(0)  # the threads here are enough; OpenCV's own would fight them
    ahead: deque[tuple[Array, Tensor, list[Future[T]]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for indices, canvas in zip(batches, canvases, strict=True):
            images = torch.empty((len(indices), *canvas, 3), dtype=torch.uint8, pin_memory=pinned)
            jobs = [
                pool.submit(fill, int(i), out)
                for i, out in zip(indices, images.numpy(), strict=True)
            ]
            ahead.append((indices, images, jobs))
            if len(ahead) > AHEAD:
                yield _finished(*ahead.popleft())
        while ahead:
            yield _finished(*ahead.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(
    indices: Array, images: Tensor, jobs: list[Future[T]]
) -> tuple[Array, Tensor, list[T]]:
    found = [job.result() for job in jobs]
    return indices, images.permute(0, 3, 1, 2), found
