"""A model over photos -> the table of candidates, before any suppression."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evaluate.tables import Array, Detections, GroundTruth, InputError
from harness.errors import JobError
from harness.loader import predict_batches
from harness.photos import Photos
from models.class_names import match_classes
from models.detector import Detector


def pick_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one, under torchrun the process's own.

    Raises InputError for a device this machine lacks.
    """
    if name == "auto":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name}: {str(error).splitlines()[0]}") from None
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """The trunk's dtype. "auto" is what the device computes fastest without giving up digits it need not.

    That is bfloat16 on CPUs with instructions for it and on GPUs from Ampere on, float16 on Volta and Turing (the T4),
    whose tensor cores know no bfloat16, and float32 elsewhere (the P100).
    """
    if name == "auto" and device.type == "cuda":
        generation, _ = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if generation >= 8 else torch.float16 if generation == 7 else torch.float32
    if name == "auto":
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot say
        return torch.bfloat16 if capabilities.get("avx512_bf16", False) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def photo_threads(device: torch.device, processes: int = 1) -> int:
    """How many read and scale photos: two where a CPU detects; a GPU outruns two, so there its share of the cores."""
    return 2 if device.type == "cpu" else max(2, (os.cpu_count() or 2) // processes)


def device_of(model: Detector) -> torch.device:
    """Where the model's weights are; one that holds none, an exported file, takes its input from the CPU."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


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
        xyxy, scores = model.decode(forward(model, images.flip(3) if mirrored else images, precision))
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
        photos, size=size, stride=model.stride_max, batch=batch, threads=threads, pinned=device.type == "cuda"
    )
    for indices, images, frames in loaded:
        on_host, batch = in_memory(best, images, batch)
        for index, frame, rows in zip(indices, frames, on_host.numpy(), strict=True):
            rows = rows[rows[:, 4] >= np.float32(conf_min)]
            photo_xyxy = frame.to_photo(rows[:, :4])
            keep = (photo_xyxy[:, 2:] > photo_xyxy[:, :2]).all(1)
            image = np.full(keep.sum(), index, np.int32)
            found.append((image, label_of[rows[keep, 5].astype(int)], photo_xyxy[keep], rows[keep, 4]))
        done(len(indices))

    found.sort(key=lambda columns: columns[0][:1].tolist())  # batches go by shape; the table by image
    return Detections(image_ids, wanted, *(np.concatenate(parts) for parts in zip(*found, strict=True)))


def beside_float32(
    model: Detector, paths: Sequence[Path], truth: GroundTruth | None, *, size: int, precision: torch.dtype
) -> Iterator[str]:
    """What `precision` in the trunk changes, a line each: boxes and scores; AP50, where there is truth for it.

    `paths[i]` shows `truth.image_ids[i]`. Looks at few of them, evenly over all: at 8 for the boxes; for AP50, which is
    that at confidence 0.001 and NMS IoU 0.6, at one in 16, but 8 to 32.
    """
    few = _spread(len(paths), 8)
    yield moved_by(model, Photos([paths[i] for i in few], cache_bytes=0), size=size, precision=precision)
    few = _spread(len(paths), max(8, min(32, len(paths) // 16)))
    if truth is None or (answers := truth.of_images(few)).difficult.all():
        return
    from evaluate.nms import nms
    from evaluate.voc_map import voc_map

    photos, aps = Photos([paths[i] for i in few]), []
    for dtype in (torch.float32, precision):
        ids, classes = answers.image_ids, answers.classes
        found = predict(model, photos, ids, classes=classes, size=size, batch=1, precision=dtype)
        aps.append(voc_map(nms(found, 0.6), answers).mean)
    full, rough = aps
    told = f"{_name(precision)} beside float32: AP50 is {rough:.4f} in place of {full:.4f} ({rough - full:+.4f})"
    yield f"{told} on {len(few)} of {len(paths):,} photos at {size} pixels"


@torch.inference_mode()
def moved_by(model: Detector, photos: Photos, *, size: int, precision: torch.dtype) -> str:
    """What `precision` in the trunk changes, said in one line: boxes beside float32's."""
    model.eval()
    count, pixels, scores = 0, 0.0, 0.0
    for _, images, _ in predict_batches(photos, size=size, stride=model.stride_max, batch=1, threads=1):
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


def _spread(count: int, most: int) -> list[int]:
    """`most` positions of `count`, or all where there are fewer, evenly over them."""
    some = min(count, most)
    return [i * count // some for i in range(some)]


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")


def _wanted(model: Detector, classes: tuple[str, ...] | None) -> tuple[tuple[str, ...], Tensor, Array]:
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
