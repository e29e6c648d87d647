"""A model over photos -> the table of candidates, before any suppression."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluate.exceptions import InputError, JobError
from evaluate.tables import Array, Detections
from harness.device import device_of
from harness.images.photos import Photos
from harness.inference.batches import predict_batches
from models.class_names import match_classes
from models.detector import Detector


def forward(model: Detector, images: Tensor, precision: torch.dtype) -> Any:
    """The raw output for images (B, 3, H, W) uint8, on the model's device, its trunk in `precision`."""
    device = device_of(model)
    pixels = images.to(device, non_blocking=True).float().div_(255)
    with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
        return model(pixels)


@torch.inference_mode()
def predict(
    model: Detector,
    photos: Photos,
    image_ids: tuple[str, ...],
    *,
    classes: tuple[str, ...] | None = None,
    size: int,
    mirrored: bool = False,
    batch: int = 8,
    conf_min: float = 0.001,
    candidates_max: int = 3000,
    precision: torch.dtype = torch.float32,
    threads: int = 2,
    done: Callable[[int], object] = lambda count: None,
) -> Detections:
    """Candidates of every photo: scores of at least `conf_min`, the best `candidates_max` an image.

    A box may give several classes, a row each.

    `classes` are the wanted names and their order; by default the model's own. Those that the model does not know
    find nothing, those of the model that are not wanted are dropped; names are matched by meaning.
    `photos[i]` shows `image_ids[i]`, boxes come back in its pixels, clipped to it; boxes left without area go.
    A `mirrored` look swaps left and right for the model alone. `batch` photos at once, fewer where memory ends.
    `done` is told the number of photos of each batch once they are.
    """
    if not image_ids:
        raise InputError("want photos to look at, there are none")
    wanted, columns, label_of = _wanted(model, classes)
    device = device_of(model)
    columns = columns.to(device)
    model.eval()

    def best(images: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 -> (B, K, 6) on the model's device: xyxy in pixels of the input, score, column."""
        images = images.to(device, non_blocking=True)
        xyxy, scores = model.decode(
            forward(model, images.flip(3) if mirrored else images, precision)
        )
        flat = scores.index_select(2, columns).flatten(1)  # (B, N * C)
        top, place = flat.topk(min(candidates_max, flat.shape[1]))
        box_of = (place // len(columns))[..., None].expand(-1, -1, 4)
        xyxy = xyxy.gather(1, box_of)
        if mirrored:
            x1, y1, x2, y2 = xyxy.unbind(2)
            xyxy = torch.stack([images.shape[3] - x2, y1, images.shape[3] - x1, y2], 2)
        return torch.cat([xyxy, top[..., None], (place % len(columns))[..., None]], 2)

    found: list[tuple[Array, ...]] = []
    loaded = predict_batches(
        photos,
        size=size,
        stride=model.stride_max,
        batch=batch,
        threads=threads,
        pinned=device.type == "cuda",
    )
    for indices, images, frames in loaded:
        on_host, batch = in_memory(best, images, batch)
        for index, frame, rows in zip(indices, frames, on_host.numpy(), strict=True):
            rows = rows[rows[:, 4] >= np.float32(conf_min)]
            photo_xyxy = frame.to_photo(rows[:, :4])
            keep = (photo_xyxy[:, 2:] > photo_xyxy[:, :2]).all(1)
            image = np.full(keep.sum(), index, np.int32)
            found.append(
                (image, label_of[rows[keep, 5].astype(int)], photo_xyxy[keep], rows[keep, 4])
            )
        done(len(indices))

    found.sort(
        key=lambda columns: columns[0][:1].tolist()
    )  # batches go by shape; the table by image
    return Detections(
        image_ids, wanted, *(np.concatenate(parts) for parts in zip(*found, strict=True))
    )


def in_memory(look: Callable[[Tensor], Tensor], images: Tensor, batch: int) -> tuple[Tensor, int]:
    """`look(images)` on the host, `batch` images at once, half as many each time the device's memory ends.

    -> what came out, and the batch that fitted. Raises JobError where one image does not fit.
    """
    while True:
        try:
            return torch.cat([look(part).cpu() for part in images.split(batch)]), batch
        except torch.OutOfMemoryError:
            if batch == 1:
                raise JobError("out of memory with one photo: try a smaller --size") from None
        batch //= 2


def _wanted(
    model: Detector, classes: tuple[str, ...] | None
) -> tuple[tuple[str, ...], Tensor, Array]:
    """-> the names wanted; the model's columns of scores for those it knows (K,); the label of each (K,)."""
    wanted = model.classes if classes is None else classes
    source = match_classes(wanted, model.classes)
    known = [(label, column) for label, column in enumerate(source) if column is not None]
    if not known:
        raise InputError(
            f"the model knows none of the classes {', '.join(wanted)}; it knows {', '.join(model.classes)}"
        )
    labels, columns = zip(*known, strict=True)
    return wanted, torch.tensor(columns), np.array(labels, np.int16)
