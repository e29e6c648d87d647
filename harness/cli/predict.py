"""The commands that run a network over photos: predict, and export for a CPU."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from evaluate.exceptions import InputError
from evaluate.progress import silent
from evaluate.tables import GroundTruth
from harness.cli.options import Data, Split, bars
from harness.cli.process import one_thread_per_photo

if TYPE_CHECKING:
    from harness.data.dataset import OpenedData


def predict_command(
    weights: Annotated[
        str, Parameter(help="Run folder, weight or exported file, name of `harness weights list`.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(help="Table of candidates to write (.npz).")],
    data: Data = None,
    split: Split = "val",
    images: Annotated[
        list[Path] | None,
        Parameter(
            help="Photos, or folders of them; with --data, the folder of its photos.",
            consume_multiple=True,
        ),
    ] = None,
    size: Annotated[int | None, Parameter(help="Long side in pixels; default: as trained.")] = None,
    tta: Annotated[
        bool, Parameter(help="Test-time augmentation: short for --views 0.83,1,1.25,flip.")
    ] = False,
    views: Annotated[
        str | None,
        Parameter(help="Predict several times: factors of the size, mirrored if flip follows."),
    ] = None,
    fuse: Annotated[
        Literal["wbf", "nmw", "soft-nms", "nms"] | None,
        Parameter(
            help="Fuse the views, with the defaults of `harness fuse`. Default: keep all their "
            "candidates."
        ),
    ] = None,
    each: Annotated[
        bool, Parameter(help="Also write one table per view, such as OUT-640flip.npz.")
    ] = False,
    batch: Annotated[
        int | None,
        Parameter(
            help="Photos at once, halved when a GPU runs out of memory; default: 1 on a CPU, 64 on "
            "a GPU."
        ),
    ] = None,
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Parameter(
            help="Of the trunk; boxes and scores are always float32. auto: bfloat16 if the device "
            "computes in it natively. What anything but float32 changes is measured on a few "
            "photos and said first."
        ),
    ] = "float32",
    conf_min: Annotated[float, Parameter(help="Keep scores of at least this.")] = 0.001,
    candidates_max: Annotated[
        int, Parameter(help="Keep this many boxes per image, best first.")
    ] = 3000,
) -> None:
    """Run a detector over photos and write its candidates, the boxes before NMS.

    Started by torchrun, each process takes a part of the photos, and the first writes the table.
    """
    from harness.data.dataset import open_data
    from harness.images.photo_files import find_photos
    from harness.inference.backends import open_model
    from harness.inference.precision_check import beside_float32
    from harness.inference.shard import Shard
    from harness.inference.split import predict_photos, save_predictions
    from harness.inference.views import STANDARD, parse_views
    from harness.weights.catalogue import resolve_weights

    for flag, value in (("--batch", batch), ("--size", size), ("--candidates-max", candidates_max)):
        if value is not None and value < 1:
            raise InputError(f"predict: {flag} {value}: want at least 1")
    if data is not None:
        opened = open_data(data, images[0] if images else None)
        (image_ids, paths), classes = opened.photos(split), opened.classes
    elif images:
        opened = None
        (image_ids, paths), classes = find_photos(images), None
    else:
        raise InputError("predict: want --data DATA --split SPLIT, or --images")

    one_thread_per_photo()
    shard = Shard.of_this_process()
    shard.of(paths)  # raises, before the weights are read, when there are too few photos
    first = shard.rank == 0
    model, trained_size, trunk = open_model(resolve_weights(weights), device, precision)
    text = views or (STANDARD if tta else "1")
    chosen = parse_views(text, size or trained_size, model.stride_max)
    if trunk.itemsize < 4 and first:
        truth = _truth(opened, split)
        for line in beside_float32(model, paths, truth, size=chosen[0].size, precision=trunk):
            print(line, file=sys.stderr)
    tables = predict_photos(
        model,
        paths,
        image_ids,
        classes=classes,
        views=chosen,
        shard=shard,
        batch=batch,
        conf_min=conf_min,
        candidates_max=candidates_max,
        precision=trunk,
        progress=bars if first else silent,
    )
    count = save_predictions(
        tables, out, shard=shard, fuse=fuse, each=each, candidates_max=candidates_max
    )
    if first:
        print(f"{out}: {count:,} candidates on {len(image_ids):,} images")


def export_command(
    weights: Annotated[
        str, Parameter(help="Run folder, weight file, or a name of `harness weights list`.")
    ],
    /,
    *,
    to: Annotated[
        Literal["onnx", "openvino"],
        Parameter(help="Kind of file; predict takes either as WEIGHTS."),
    ],
    out: Annotated[
        Path | None, Parameter(help="Default: beside WEIGHTS, .onnx, or .xml with .bin.")
    ] = None,
) -> None:
    """Write a detector as a file that predicts faster on a CPU, here or in another program."""
    from harness.inference import backends
    from harness.weights import checkpoint
    from harness.weights.catalogue import resolve_weights

    path = resolve_weights(weights)
    model, recipe = checkpoint.load_detector(path)
    file = out or (path / "best" if path.is_dir() else path).with_suffix(backends.SUFFIXES[to])
    backends.export(model, recipe.size, file, to)
    print(f"{file}: {recipe.model}, {len(model.classes)} classes, {recipe.size} pixels")


def _truth(opened: "OpenedData | None", split: str) -> GroundTruth | None:
    """The split's truth, None if it cannot be read: a test split need not have any."""
    try:
        return opened.load(split).truth if opened else None
    except InputError:
        return None
