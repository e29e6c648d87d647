"""Moments of the video that `harness video` made in a run's folder, for the page of the run.

The moments with the most boxes, and of what is left those the detector is least sure of, as the
video shows them. evaluate.tracking.highlights says how they are chosen.
"""

from dataclasses import dataclass

import numpy as np

from evaluate.exceptions import InputError
from evaluate.tables import Array
from evaluate.tracking.highlights import boxes_per_frame, moments, spacing, uncertainty
from evaluate.tracking.video_detections import DRAWN_CONF_MIN, VideoDetections, drawn_mask
from harness.images.letterbox import Image
from harness.report.gallery import jpeg_uri
from harness.run_folder import Run

SIDE = 720  # pixels of a frame's longer side


@dataclass(frozen=True)
class Still:
    time: str  # in the video, minutes and seconds
    caption: str  # boxes, their scores and the uncertainty about them
    image_id: str
    uri: str  # data:image/jpeg
    aspect: float  # width / height


@dataclass(frozen=True)
class ContactSheet:
    length: str
    frames: int
    boxes: int
    objects: int  # 0 where they were not tracked
    conf: float  # boxes with a lower score are left out, except those of objects
    apart: float  # seconds, at least, between stills
    rows: dict[str, list[Still]]  # by kind


def contact_sheet(run: Run) -> ContactSheet:
    """The moments with the most boxes and, of the others, with the most uncertain ones.

    Raises InputError when video or table is missing, damaged or of another video, and without PyAV.
    """
    # The package raises where PyAV is missing; the rest of the page does without it.
    from harness.video.stills import stills

    for path, option in ((run.video, "--out"), (run.video_table, "--npz")):
        if not path.is_file():
            raise InputError(f"{path.name} is missing, which `harness video {option}` writes")
    video = VideoDetections.load(run.video_table)
    video = video.take(drawn_mask(video, DRAWN_CONF_MIN))

    bits = uncertainty(video)
    most = moments(boxes_per_frame(video), video)
    unsure = moments(bits, video, besides=most)
    images = stills(run.video, video, most + unsure)  # one at a time: a frame is large
    sheet = [
        _still(video, row, bits, image) for row, image in zip(most + unsure, images, strict=True)
    ]
    rows = {"Most detections": sheet[: len(most)], "Most uncertain": sheet[len(most) :]}
    return ContactSheet(
        length=_clock(float(np.ptp(video.time))),
        frames=len(video.image_ids),
        boxes=len(video),
        objects=len(np.unique(video.track[video.track > 0])),
        conf=DRAWN_CONF_MIN,
        apart=spacing(video),
        rows={kind: row for kind, row in rows.items() if row},
    )


def _still(video: VideoDetections, row: int, bits: Array, image: Image) -> Still:
    scores = video.score[video.image == row]
    boxes = f"{len(scores):,} box{'es' if len(scores) != 1 else ''}"
    low, high = f"{scores.min():.2f}", f"{scores.max():.2f}"
    scored = low if low == high else f"{low} to {high}"
    return Still(
        time=_clock(float(video.time[row])),
        caption=f"{boxes} scored {scored}, {bits[row]:.2f} bit",
        image_id=video.image_ids[row],
        uri=jpeg_uri(image, SIDE),
        aspect=image.shape[1] / image.shape[0],
    )


def _clock(seconds: float) -> str:
    """Minutes and seconds: 1:02.5."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{tenths / 10:04.1f}"
