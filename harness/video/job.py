"""`harness video` as one call: from what a person names to the video, the CSV and the table."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from evaluate.progress import Progress, silent
from evaluate.tracking.video_detections import DRAWN_CONF_MIN, VideoDetections, drawn_mask
from harness.video.annotate import annotate
from harness.video.download import fetch, is_address
from harness.video.inputs import open_input
from harness.video.pipeline import FrameDetector
from submit.csv.formats import write_submission

KEPT_CONF_MIN = 0.05  # of the boxes that a table keeps: --track and a later --conf start from them


@dataclass(frozen=True)
class VideoJob:
    """What to read, what to draw, and where to write it."""

    video_input: str  # a file, an address, a folder of images or a camera's number
    out: Path  # .mp4, .m4v, .mov or .mkv
    weights: str | None = None  # whatever `harness.weights` can resolve; None to draw `table`
    table: Path | None = None  # .npz
    csv: Path | None = None
    npz: Path | None = None
    track: bool = False
    conf_min: float = DRAWN_CONF_MIN
    iou_max: float = 0.45
    size: int | None = None  # long side in pixels for the network, None: as trained
    device: str = "auto"
    rate: Fraction = Fraction(25)  # frames per second of a folder of images
    height_max: int = 720  # lines of a video that is fetched from an address


@dataclass(frozen=True)
class VideoSummary:
    """What was drawn."""

    frames: int
    boxes: int
    objects: int | None  # None where they were not tracked
    damaged: int  # parts of the input that were missing or damaged


def run_video_job(job: VideoJob, progress: Progress = silent) -> VideoSummary:
    """Fetch where need be, detect or load a table, draw, and write all the files that are wanted.

    Raises InputError for wrong input, JobError for what could not be finished.
    """
    video_input = job.video_input
    if is_address(video_input):
        folder = job.out.parent
        video_input = str(fetch(video_input, folder, height_max=job.height_max, progress=progress))

    annotated = annotate(
        lambda: open_input(video_input, job.rate),
        job.out,
        _boxes(job),
        conf_min=job.conf_min,
        track=job.track,
        progress=progress,
    )
    video = annotated.video
    drawn = video.take(drawn_mask(video, job.conf_min))
    if job.npz:
        video.save(job.npz)
    if job.csv:
        write_submission(drawn, job.csv)

    objects = len(np.unique(drawn.track)) if job.track else None
    return VideoSummary(len(drawn.image_ids), len(drawn), objects, annotated.damaged)


def _boxes(job: VideoJob) -> FrameDetector | VideoDetections:
    """Where the boxes come from."""
    if job.table:
        return VideoDetections.load(job.table)
    assert job.weights is not None, "a job has weights or a table"
    # A table is drawn without a network, and importing torch takes seconds.
    from harness.video.detect import open_detector

    return open_detector(
        job.weights,
        device=job.device,
        size=job.size,
        conf_min=min(job.conf_min, KEPT_CONF_MIN),
        iou_max=job.iou_max,
    )
