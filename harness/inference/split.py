"""A set of photos through a detector: every view of every photo, over all processes, in one table.

1. This process takes its shard of the photos (harness/inference/shard.py).
2. Each view gives a table of candidates (harness/inference/views.py).
3. The views' tables become one, joined or fused.
4. The shards' tables become one, and are written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from evaluate.ensemble.rule import Method
from evaluate.progress import Progress, silent
from evaluate.tables import Detections
from harness.device import device_of, photo_threads
from harness.images.photos import Photos
from harness.inference.predict import predict
from harness.inference.shard import Shard
from harness.inference.views import View, fuse_views
from models.detector import Detector

GPU_BATCH = 64  # images at once, halved until they fit


def predict_photos(
    model: Detector,
    paths: tuple[Path, ...],
    image_ids: tuple[str, ...],
    *,
    classes: tuple[str, ...] | None,
    views: Sequence[View],
    shard: Shard,
    batch: int | None = None,
    conf_min: float = 0.001,
    candidates_max: int = 3000,
    precision: torch.dtype = torch.float32,
    progress: Progress = silent,
) -> dict[View, Detections]:
    """Steps 1 and 2: the candidates of this shard's photos, one table per view.

    `paths[i]` is the photo called `image_ids[i]`; both are of the whole set. Without `batch`, a CPU
    takes one photo at once and a GPU `GPU_BATCH`. Raises InputError as `predict` does.
    """
    device = device_of(model)
    # Step 1. Photos that are seen once are not worth keeping in memory.
    own = shard.of(paths)
    photos = Photos(own) if len(views) > 1 else Photos(own, cache_bytes=0)

    # Step 2. Every view is one pass over the photos; the progress counts them all.
    with progress("predict", total=len(own) * len(views), unit="photo") as advance:
        return {
            view: predict(
                model,
                photos,
                shard.of(image_ids),
                classes=classes,
                size=view.size,
                mirrored=view.mirrored,
                batch=batch or (1 if device.type == "cpu" else GPU_BATCH),
                conf_min=conf_min,
                candidates_max=candidates_max,
                precision=precision,
                threads=photo_threads(device, shard.world_size),
                advance=advance,
            )
            for view in views
        }


def save_predictions(
    tables: Mapping[View, Detections],
    out: Path,
    *,
    shard: Shard,
    fuse: Method | None = None,
    each: bool = False,
    candidates_max: int = 3000,
) -> int:
    """Steps 3 and 4: write `out`, and with `each` a table per view beside it, as OUT-640flip.npz.

    -> the rows of `out` in rank 0, none in other processes, which each call this too.
    """
    # Step 3: the views are fused within each shard, which is exact: no image is in two shards.
    written = {out: fuse_views(list(tables.values()), fuse, candidates_max)}
    if each:
        for view, table in tables.items():
            written[out.with_stem(f"{out.stem}-{view.name}")] = table
    # Step 4.
    return shard.save(written)[out]
