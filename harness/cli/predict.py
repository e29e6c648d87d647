"""The commands that run a network over photos: predict, and export for a CPU."""

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from evaluate.exceptions import InputError
from evaluate.progress import silent
from evaluate.tables import GroundTruth
from harness.cli.options import Data, Device, Split, bars
from harness.cli.process import one_thread_per_photo

if TYPE_CHECKING:
    from harness.data.dataset import OpenedData
    from harness.inference.views import View


@dataclass(frozen=True, kw_only=True)
class PhotoSource:
    """The options that name photos: a split of a data set, or files and folders."""

    data: Data = None
    split: Split = "val"
    images: Annotated[
        list[Path] | None,
        Parameter(
            help="Photos, or folders of them; with --data, the folder of its photos.",
            consume_multiple=True,
        ),
    ] = None

    @cached_property
    def opened(self) -> "OpenedData | None":
        """DATA, opened once; None if the photos are not those of a data set."""
        from harness.data.dataset import open_data

        return open_data(self.data, self.images[0] if self.images else None) if self.data else None

    def photos(self) -> tuple[tuple[str, ...], tuple[Path, ...], tuple[str, ...] | None]:
        """image_ids; paths; the classes of DATA, or None. Raises InputError for no photos."""
        from harness.images.photo_files import find_photos

        if self.opened is not None:
            return *self.opened.photos(self.split), self.opened.classes
        if self.images:
            return *find_photos(self.images), None
        raise InputError("predict: want --data DATA --split SPLIT, or --images")

    def truth(self) -> GroundTruth | None:
        """The split's truth, None if it cannot be read: a test split need not have any."""
        try:
            return self.opened.load(self.split).truth if self.opened else None
        except InputError:
            return None


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """The options that say how often a photo is seen, at which sizes, and what becomes of it."""

    size: Annotated[int | None, Parameter(help="Long side in pixels; default: as trained.")] = None
    tta: Annotated[
        bool, Parameter(help="Test-time augmentation: short for --views 0.83,1,1.25,flip.")
    ] = False
    views: Annotated[
        str | None,
        Parameter(help="Predict several times: factors of the size, mirrored if flip follows."),
    ] = None
    fuse: Annotated[
        Literal["wbf", "nmw", "soft-nms", "nms"] | None,
        Parameter(
            help="Fuse the views, with the defaults of `harness fuse`. Default: keep all their "
            "candidates."
        ),
    ] = None
    each: Annotated[
        bool, Parameter(help="Also write one table per view, such as OUT-640flip.npz.")
    ] = False

    def parse(self, trained_size: int, stride: int) -> "tuple[View, ...]":
        """The views, for a network of this stride that was trained for `trained_size`."""
        from harness.inference.views import STANDARD, parse_views

        text = self.views or (STANDARD if self.tta else "1")
        return parse_views(text, self.size or trained_size, stride)


def predict_command(
    weights: Annotated[
        str, Parameter(help="Run folder, weight or exported file, name of `harness weights list`.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(help="Table of candidates to write (.npz).")],
    source: Annotated[PhotoSource, Parameter(name="*")] = PhotoSource(),
    viewing: Annotated[ViewOptions, Parameter(name="*")] = ViewOptions(),
    batch: Annotated[
        int | None,
        Parameter(
            help="Photos at once, halved when a GPU runs out of memory; default: 1 on a CPU, 64 on "
            "a GPU."
        ),
    ] = None,
    device: Device = "auto",
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
    from harness.inference.backends import open_model
    from harness.inference.precision_check import beside_float32
    from harness.inference.shard import Shard
    from harness.inference.split import predict_photos, save_predictions
    from harness.weights.catalogue import resolve_weights

    limits = {"--batch": batch, "--size": viewing.size, "--candidates-max": candidates_max}
    for flag, value in limits.items():
        if value is not None and value < 1:
            raise InputError(f"predict: {flag} {value}: want at least 1")
    image_ids, paths, classes = source.photos()
    shard = Shard.of_this_process()
    shard.of(paths)  # raises, before the weights are read, when there are too few photos
    first = shard.rank == 0

    one_thread_per_photo()
    model, trained_size, trunk = open_model(resolve_weights(weights), device, precision)
    views = viewing.parse(trained_size, model.stride_max)
    if trunk.itemsize < 4 and first:
        size, truth = views[0].size, source.truth()
        for line in beside_float32(model, paths, truth, size=size, precision=trunk):
            print(line, file=sys.stderr)
    tables = predict_photos(
        model,
        paths,
        image_ids,
        classes=classes,
        views=views,
        shard=shard,
        batch=batch,
        conf_min=conf_min,
        candidates_max=candidates_max,
        precision=trunk,
        progress=bars if first else silent,
    )
    count = save_predictions(
        tables,
        out,
        shard=shard,
        fuse=viewing.fuse,
        each=viewing.each,
        candidates_max=candidates_max,
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
