"""A model over photos -> the table of candidates, before any suppression."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluate.tables import Array, Detections, InputError
from harness.loader import predict_batches
from harness.photos import Photos
from models.class_names import match_classes
from models.detector import Detector


def pick_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one. Raises InputError for a device this machine lacks."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name}: {str(error).splitlines()[0]}") from None
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The trunk's dtype. "auto" is bfloat16 on a GPU and on CPUs with bfloat16 instructions, else float32."""
    if name == "auto":
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot say
        fast = device.type == "cuda" or capabilities.get("avx512_bf16", False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def forward(model: Detector, images: Tensor, precision: torch.dtype) -> Any:
    """The raw output for images (B, 3, H, W) uint8, on the model's device, its trunk in `precision`."""
    device = next(model.parameters()).device
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
    `done` is told the number of photos of each batch once they are.
    """
    if not image_ids:
        raise InputError("want photos to look at, there are none")
    wanted = model.classes if classes is None else classes
    source = match_classes(wanted, model.classes)
    columns = [i for i in source if i is not None]
    label_of = np.array([row for row, i in enumerate(source) if i is not None], np.int16)
    if not columns:
        raise InputError(
            f"the model knows none of the classes {', '.join(wanted)}; it knows {', '.join(model.classes)}"
        )
    device = next(model.parameters()).device
    columns_on_device = torch.tensor(columns, device=device)
    model.eval()

    found: list[tuple[Array, ...]] = []
    batches = predict_batches(photos, size=size, stride=model.stride_max, batch=batch, threads=threads)
    for indices, images, frames in batches:
        xyxy, scores = model.decode(forward(model, images, precision))
        flat = scores.index_select(2, columns_on_device).flatten(1)  # (B, N * C)
        top, place = flat.topk(min(candidates_max, flat.shape[1]), sorted=True)
        box_of = (place // len(columns))[..., None].expand(-1, -1, 4)
        best_xyxy = xyxy.gather(1, box_of)  # (B, K, 4)
        on_host = (tensor.cpu().numpy() for tensor in (top, place % len(columns), best_xyxy))
        rows = zip(indices, frames, *on_host, strict=True)
        for index, frame, score, column, canvas_xyxy in rows:
            photo_xyxy = frame.to_photo(canvas_xyxy)
            keep = (score >= np.float32(conf_min)) & (photo_xyxy[:, 2:] > photo_xyxy[:, :2]).all(1)
            image = np.full(keep.sum(), index, np.int32)
            found.append((image, label_of[column[keep]], score[keep], photo_xyxy[keep]))
        done(len(indices))

    found.sort(key=lambda columns: columns[0][:1].tolist())  # batches go by shape; the table by image
    image, label, score, photo_xyxy = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Detections(image_ids, wanted, image, label, photo_xyxy, score)
