"""`harness video`: detections on videos."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evaluate.exceptions import InputError
from evaluate.tracking.video_detections import DRAWN_CONF_MIN
from harness.cli.options import Device, bars
from harness.cli.process import one_thread_per_photo


def video_command(
    *inputs: Annotated[str, Parameter(help="WEIGHTS INPUT, or INPUT alone with --from.")],
    out: Annotated[Path, Parameter(help="The video to write (.mp4, .mov or .mkv).")],
    csv: Annotated[
        Path | None,
        Parameter(help="Also write the boxes that are drawn, one row per frame (.csv)."),
    ] = None,
    npz: Annotated[
        Path | None,
        Parameter(
            help="Also write a table with times (.npz): boxes from score 0.05, or the tracks."
        ),
    ] = None,
    from_table: Annotated[
        Path | None,
        Parameter(name="--from", help="Draw the boxes of this table (.npz) instead of detecting."),
    ] = None,
    track: Annotated[
        bool, Parameter(help="Number objects, bridge gaps, vote on labels, smooth boxes.")
    ] = False,
    conf: Annotated[float, Parameter(help="Draw boxes scored this or more.")] = DRAWN_CONF_MIN,
    iou: Annotated[
        float, Parameter(help="Drop boxes that overlap a better one of their class by more.")
    ] = 0.45,
    size: Annotated[
        int | None, Parameter(help="Long side in pixels for the network; default: as trained.")
    ] = None,
    device: Device = "auto",
    rate: Annotated[
        Fraction, Parameter(help="Frames per second, where INPUT is a folder of images.")
    ] = Fraction(25),
    height: Annotated[
        int, Parameter(help="Greatest height to fetch, in pixels, where INPUT is an address.")
    ] = 720,
) -> None:
    """Draw detections on a video and keep its sound.

    INPUT is a file, an address, a folder of images or a camera's number.
    """
    if len(inputs) != (1 if from_table else 2):
        raise InputError("video: want WEIGHTS INPUT, or --from TABLE and INPUT")
    from harness.video.job import VideoJob, run_video_job

    if not from_table:
        one_thread_per_photo()
    job = VideoJob(
        inputs[-1],
        out,
        weights=None if from_table else inputs[0],
        table=from_table,
        csv=csv,
        npz=npz,
        track=track,
        conf_min=conf,
        iou_max=iou,
        size=size,
        device=device,
        rate=rate,
        height_max=height,
    )
    summary = run_video_job(job, bars)

    parts = [f"{out}: {summary.frames:,} frames, {summary.boxes:,} boxes"]
    if summary.objects is not None:
        parts.append(f" of {summary.objects:,} objects")
    if summary.damaged:
        parts.append(f"; {summary.damaged:,} parts of the input were missing or damaged")
    print("".join(parts))
