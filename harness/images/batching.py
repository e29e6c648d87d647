"""Batches of images, filled by threads while the caller works on an earlier one.

Threads, not processes: OpenCV releases Python's lock while it works, and a finished batch already
lies in the memory where it is needed; sending images from one process to another costs as much as
decoding them.

1. Each batch gets memory of its own, (B, H, W, 3), and one job per image that fills its part of it.
2. `AHEAD` batches are in the making while the caller holds one. With AHEAD = 2, asking for batch 0
   starts batches 0, 1 and 2; asking for batch 1 starts batch 3; and so on.
3. A batch whose jobs are done is handed out as (B, 3, H, W). No pixel moves for that: it is what
   torch calls channels_last.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from evaluate.tables import Array
from harness.images.letterbox import Image

T = TypeVar("T")
AHEAD = 2  # batches in the making while the caller uses one


def split_order(order: Array, batch: int) -> list[Array]:
    """Positions (N,) in batches of `batch`; the last one holds what is left."""
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def filled_batches(
    batches: Sequence[Array],
    canvases: Sequence[tuple[int, int]],
    fill: Callable[[int, Image], T],
    threads: int,
    pinned: bool = False,
) -> Iterator[tuple[Array, Tensor, list[T]]]:
    """Per batch: its positions (B,); images (B, 3, H, W) uint8; what `fill` returned for each.

    `batches[i]` are positions, `canvases[i]` is the batch's (H, W). `fill(position, out)` runs on a
    thread and paints `out` (H, W, 3). A batch is never painted over, however long it is held.
    `pinned` memory reaches a GPU without another copy.
    """
    ahead: deque[tuple[Array, Tensor, list[Future[T]]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for positions, canvas in zip(batches, canvases, strict=True):
            # Step 1: memory, and a job per image.
            images = torch.empty((len(positions), *canvas, 3), dtype=torch.uint8, pin_memory=pinned)
            jobs = [
                pool.submit(fill, int(position), out)
                for position, out in zip(positions, images.numpy(), strict=True)
            ]
            ahead.append((positions, images, jobs))

            # Step 2: hand one out only once AHEAD more are in the making.
            if len(ahead) > AHEAD:
                yield _finished(*ahead.popleft())
        while ahead:
            yield _finished(*ahead.popleft())
    finally:
        pool.shutdown(cancel_futures=True)  # also when the caller stops early


def _finished(
    positions: Array, images: Tensor, jobs: list[Future[T]]
) -> tuple[Array, Tensor, list[T]]:
    """Step 3: wait for a batch's jobs. What one of them raised is raised here."""
    returned = [job.result() for job in jobs]
    return positions, images.permute(0, 3, 1, 2), returned
