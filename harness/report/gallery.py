"""Photos of a split with what was found and what is there: the worst, some drawn by lot, and the best."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np

from evaluate.metrics.matching import Matches, match
from evaluate.tables import Array, Detections, align
from harness.data.dataset import Dataset
from harness.images.drawing import draw_boxes, draw_dashed, jpeg
from harness.images.letterbox import Image

IOU_MIN = 0.5
EACH = 3  # photos of a kind
SIDE = 720  # pixels of a picture's longer side
SEED = 0


@dataclass(frozen=True)
class Rating:
    """How well the boxes shown on one photo agree with its truth."""

    truths: int  # those difficult left out
    found: int  # truths hit by a detection
    false: int  # detections that hit none

    @property
    def f1(self) -> float:
        """2 found / (2 found + false + missed); 1 where nothing is there and nothing was found."""
        return (
            2 * self.found / (self.truths + self.found + self.false)
            if self.truths + self.false
            else 1.0
        )


@dataclass(frozen=True)
class Picture:
    image_id: str
    rating: Rating
    uri: str  # data:image/jpeg
    aspect: float  # width / height


@dataclass(frozen=True)
class Gallery:
    conf: float  # boxes with a lower score are not shown
    overall: Rating  # of all photos together
    groups: dict[str, list[Picture]]


def gallery(dets: Detections, data: Dataset, conf: float) -> Gallery:
    """Pictures of the boxes scored `conf` or more. Raises InputError where dets look at other photos."""
    dets = align(dets, data.truth)
    ratings = rate(match(dets, data.truth).above(conf), dets, data)
    shown = dets.take(dets.score >= np.float32(conf))
    chosen = choose(ratings)
    groups = {
        kind: [_picture(data, shown, row, ratings[row]) for row in chosen[kind]] for kind in chosen
    }
    overall = Rating(
        *(sum(getattr(r, name) for r in ratings) for name in ("truths", "found", "false"))
    )
    return Gallery(conf, overall, groups)


def rate(matches: Matches, dets: Detections, data: Dataset) -> list[Rating]:
    """A rating for each photo, in order."""
    truth, photos = data.truth, len(data.photos)
    image, hits = dets.image[matches.row], matches.hits(IOU_MIN)
    false = ~hits & ~matches.neutral(IOU_MIN)
    images = (truth.image[~truth.difficult], image[hits], image[false])
    columns = (np.bincount(rows, minlength=photos) for rows in images)
    return [Rating(*map(int, row)) for row in zip(*columns, strict=True)]


def choose(ratings: list[Rating]) -> dict[str, list[int]]:
    """Rows of photos by kind, none twice. Of equally good photos those with more truths are best, more boxes worst."""
    rows = range(len(ratings))
    best = sorted(rows, key=lambda i: (-ratings[i].f1, -ratings[i].truths))[:EACH]
    rest = [i for i in rows if i not in best]
    worst = sorted(rest, key=lambda i: (ratings[i].f1, -ratings[i].truths - ratings[i].false))[
        :EACH
    ]
    rest = [i for i in rest if i not in worst]
    lot = np.random.default_rng(SEED).permutation(len(rest))[:EACH]
    kinds = {"Worst": worst, "Drawn by lot": [rest[i] for i in lot], "Best": best}
    return {kind: chosen for kind, chosen in kinds.items() if chosen}


def picture_uri(image: Image, side: int) -> str:
    """(h, w, 3) RGB, its longer side brought to `side` pixels, as a data URI."""
    return (
        "data:image/jpeg;base64,"
        + base64.b64encode(jpeg(_resized(image, side)[0], quality=82)).decode()
    )


def _picture(data: Dataset, shown: Detections, row: int, rating: Rating) -> Picture:
    from harness.images.photos import read_photo

    photo, ratio = _resized(read_photo(data.photos[row]), SIDE)
    dets = shown.take(shown.image == row)
    dets = dets.take(np.argsort(-dets.score, kind="stable"))
    texts = [
        f"{dets.classes[label]} {score:.2f}"
        for label, score in zip(dets.label, dets.score, strict=True)
    ]
    truth: Array = data.truth.xyxy[data.truth.image == row] * ratio
    image = draw_boxes(draw_dashed(photo, truth), dets.xyxy * ratio, dets.label, texts)
    return Picture(
        data.truth.image_ids[row], rating, picture_uri(image, SIDE), photo.shape[1] / photo.shape[0]
    )


def _resized(image: Image, side: int) -> tuple[Image, float]:
    """The image with its longer side at `side` pixels, and the ratio of new to old."""
    ratio = side / max(image.shape[:2])
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    size = max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio))
    resized: Image = cv2.resize(image, size, interpolation=how) if ratio != 1 else image
    return resized, ratio
