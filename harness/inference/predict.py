"""A model over photos -> the table of candidates, before any suppression."""

import numpy as np
import torch
from torch import Tensor

from evaluate.exceptions import InputError
from evaluate.progress import Advance
from evaluate.tables import Array, Detections
from harness.device import device_of
from harness.images.photos import Photos
from harness.inference.batches import predict_batches
from harness.inference.candidates import best_candidates, photo_columns, want_classes
from harness.inference.forward import in_memory
from models.detector import Detector


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
    advance: Advance = lambda units=1, /, **shown: None,
) -> Detections:
    """Candidates of every photo: scores from `conf_min` on, the best `candidates_max` per image.

    `photos[i]` shows `image_ids[i]`; boxes are in its pixels, clipped to it, and those left without
    area are dropped. A box may give several classes, one row each.

    `classes` are the wanted names and their order; by default the model's own. Names are matched by
    meaning. A wanted class that the model does not know has no rows; one of the model's that is not
    wanted is dropped.

    With `mirrored`, the model sees left for right. `batch` is the number of images at once, fewer
    when it runs out of memory. `advance` counts photos. Raises InputError when there is no photo or
    no class in common.
    """
    if not image_ids:
        raise InputError("want photos to predict on, there are none")

    # What stays the same for every batch: device, classes and how candidates are computed.
    device = device_of(model)
    wanted = want_classes(model, classes, device)
    model.eval()

    def compute(images: Tensor) -> Tensor:
        return best_candidates(
            model,
            images,
            wanted,
            mirrored=mirrored,
            candidates_max=candidates_max,
            precision=precision,
        )

    # Threads read the next photos while the device computes.
    loaded = predict_batches(
        photos,
        size=size,
        stride=model.stride_max,
        batch=batch,
        threads=threads,
        pinned=device.type == "cuda",
    )
    columns: list[tuple[Array, ...]] = []  # of each photo
    for positions, images, places in loaded:
        # A batch that ran out of memory comes back smaller, and stays so for the rest.
        candidates, batch = in_memory(compute, images, batch)  # (B, K, 6)
        for position, place, rows in zip(positions, places, candidates.numpy(), strict=True):
            columns.append(photo_columns(rows, place, position, wanted, conf_min))
        advance(len(positions))

    # Batches go by shape; the table goes by image. The sort is stable, and a photo is one entry.
    columns.sort(key=lambda photo: photo[0][:1].tolist())
    merged = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return Detections(image_ids, wanted.names, *merged)
