"""One call of a network on its device: in which precision, and how many images at once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from evaluate.exceptions import JobError
from harness.device import device_of
from models.detector import Detector


def forward(model: Detector, images: Tensor, precision: torch.dtype) -> Any:
    """Raw output for images (B, 3, H, W) uint8, on the model's device, the trunk in `precision`."""
    device = device_of(model)
    pixels = images.to(device, non_blocking=True).float().div_(255)
    with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
        return model(pixels)


def in_memory(
    compute: Callable[[Tensor], Tensor], images: Tensor, batch: int
) -> tuple[Tensor, int]:
    """`compute(images)` on the host, `batch` images at once, and the batch that fitted.

    Each time the device runs out of memory, half as many are tried. Seven images at batch 7, with
    room for one: 7 fails, 3 fails, then one at a time, seven times; the 1 that comes back makes the
    next call start there. Raises JobError when a single image does not fit.
    """
    while True:
        try:
            return torch.cat([compute(part).cpu() for part in images.split(batch)]), batch
        except torch.OutOfMemoryError:
            if batch == 1:
                raise JobError("out of memory with one photo: try a smaller --size") from None
        batch //= 2
