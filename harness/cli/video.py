"""`harness video`: detections over moving pictures."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evaluate.exceptions import InputError
from harness.cli.options import bar, download_bar
from harness.cli.process import one_thread_per_photo


def video_command(
    *inputs: Annotated[str, Parameter(help="WEIGHTS INPUT, or INPUT alone with --from.")],
    out: Annotated[Path, Parameter(help="The film to write (.mp4, .mov or .mkv).")],
    csv: Annotated[
        Path | None, Parameter(help="Also write what is drawn, a row a picture (.csv).")
    ] = None,
    npz: Annotated[
        Path | None,
        Parameter(
            help="Also write the table with times (.npz): boxes from score 0.05, or the tracks."
        ),
    ] = None,
    from_table: Annotated[
        Path | None,
        Parameter(name="--from", help="Draw what this table (.npz) says instead of detecting."),
    ] = None,
    track: Annotated[
        bool, Parameter(help="Number objects, bridge gaps, vote on labels, smooth boxes.")
    ] = False,
    conf: Annotated[float, Parameter(help="Draw scores of at least this.")] = 0.25,
    iou: Annotated[
        float, Parameter(help="Drop boxes that overlap a better one of their class by more.")
    ] = 0.45,
    size: Annotated[
        int | None, Parameter(help="Long side in pixels for the network; default: as trained.")
    ] = None,
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    rate: Annotated[
        Fraction, Parameter(help="Pictures a second, where INPUT is a folder of pictures.")
    ] = Fraction(25),
    height: Annotated[
        int, Parameter(help="Most lines of picture to fetch, where INPUT is an address.")
    ] = 720,
) -> None:
    """Draw detections on a video, with its sound: INPUT is a file, an address, a camera's number or a folder."""
    if len(inputs) != (1 if from_table else 2):
        raise InputError("video: want WEIGHTS INPUT, or --from TABLE and INPUT")
    import numpy as np

    from evaluate.tracking.video_table import Footage
    from harness.video.download import fetch, is_address
    from harness.video.inputs import open_input
    from harness.video.job import KEEP_MIN, film
    from harness.video.pipeline import Finder, shown
    from submit.csv import formats

    where = inputs[-1]
    if is_address(where):
        with download_bar() as show:
            where = str(fetch(where, out.parent, height=height, progress=show))
    if from_table:
        boxes: Finder | Footage = Footage.load(from_table)
    else:
        from harness.inference.backends import open_model
        from harness.video.detect import finder
        from harness.weights.catalogue import resolve_weights

        one_thread_per_photo()
        model, trained, precision = open_model(resolve_weights(inputs[0]), device, "auto")
        boxes = finder(
            model,
            size=size or trained,
            precision=precision,
            conf_min=min(conf, KEEP_MIN),
            iou_max=iou,
        )
    made = film(
        lambda: open_input(where, rate),
        out,
        boxes,
        conf=conf,
        track=track,
        bar=lambda what, total: bar(None, desc=what, total=total, unit="frame"),
    )
    if npz:
        made.footage.save(npz)
    drawn = made.footage.take(shown(made.footage, conf))
    if csv:
        formats.write(drawn, csv)
    objects = f" of {len(np.unique(drawn.track)):,} objects" if track else ""
    damaged = (
        f"; {made.damaged:,} parts of the input were missing or damaged" if made.damaged else ""
    )
    print(f"{out}: {len(drawn.image_ids):,} pictures, {len(drawn):,} boxes{objects}{damaged}")
