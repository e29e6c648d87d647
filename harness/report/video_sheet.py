"""Moments of the film that `harness video` made in a run's folder, as pictures."""

from dataclasses import dataclass

import numpy as np

from evaluate.exceptions import InputError
from evaluate.tracking.highlights import counts, doubt, peaks, spacing
from evaluate.tracking.video_table import Footage
from harness.images.letterbox import Image
from harness.report.gallery import picture_uri
from harness.run_folder import Run

CONF = 0.25  # boxes of a lower score are not drawn, where `harness video` was not told otherwise
SIDE = 720  # pixels of a picture's longer side


@dataclass(frozen=True)
class Still:
    time: str  # of the film, minutes and seconds
    what: str  # boxes, their scores and the doubt about them
    image_id: str
    uri: str  # data:image/jpeg
    aspect: float  # width / height


@dataclass(frozen=True)
class ContactSheet:
    length: str
    pictures: int
    boxes: int
    objects: int  # 0 where nobody tracked them
    conf: float  # boxes with a lower score are left out, those of objects aside
    apart: float  # seconds, at least, between stills
    rows: dict[str, list[Still]]


def contact_sheet(run: Run) -> ContactSheet:
    """The moments with the most boxes and, of the others, with the most uncertain ones, as the film shows them.

    Raises InputError when film or table is gone, damaged or of another video, and where PyAV is
    missing.
    """
    from harness.video.pipeline import shown
    from harness.video.stills import stills

    for path, option in ((run.video, "--out"), (run.video_table, "--npz")):
        if not path.is_file():
            raise InputError(f"{path.name} is missing, which `harness video {option}` writes")
    footage = Footage.load(run.video_table)
    footage = footage.take(shown(footage, CONF))
    boxes, bits = counts(footage), doubt(footage)
    busy = peaks(boxes, footage)
    unsure = peaks(bits, footage, besides=busy)

    shots = stills(run.video, footage, busy + unsure)  # one at a time: a picture is large
    seen = [
        _still(footage, row, bits[row], image)
        for row, image in zip(busy + unsure, shots, strict=True)
    ]
    rows = {"Most detections": seen[: len(busy)], "Most uncertain": seen[len(busy) :]}
    return ContactSheet(
        length=_clock(float(np.ptp(footage.time))),
        pictures=len(footage.image_ids),
        boxes=len(footage),
        objects=len(np.unique(footage.track[footage.track > 0])),
        conf=CONF,
        apart=spacing(footage),
        rows={kind: row for kind, row in rows.items() if row},
    )


def _still(footage: Footage, row: int, bits: float, image: Image) -> Still:
    scores = footage.score[footage.image == row]
    boxes = f"{len(scores):,} box{'es' if len(scores) != 1 else ''}"
    low, high = f"{scores.min():.2f}", f"{scores.max():.2f}"
    return Still(
        time=_clock(float(footage.time[row])),
        what=f"{boxes} scored {low if low == high else f'{low} to {high}'}, {bits:.2f} bit",
        image_id=footage.image_ids[row],
        uri=picture_uri(image, SIDE),
        aspect=image.shape[1] / image.shape[0],
    )


def _clock(seconds: float) -> str:
    """Minutes and seconds: 1:02.5."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{tenths / 10:04.1f}"
