"""Photos with detections and truth drawn on them: the worst, some at random, and the best.

How well the boxes on one photo agree with its truth is measured by F1, for AP needs a ranking and a
photo alone has hardly any:

    F1 = 2 hits / (truths + detections)    2 cats, 1 hit, 2 false positives: 2 / (2 + 3) = 0.4

1. Boxes scored below the confidence where F1 over the whole split is highest are left out, and what
   is left is matched with the truth at IoU 0.5, each object once. A detection on an object marked
   difficult counts neither way.
2. The best photos are those of highest F1; among equal ones those with more objects, since an empty
   photo with no box on it scores 1 too. Of the others the worst are those of lowest F1, among equal
   ones with more boxes. A few of the rest are drawn by lot, the same ones every time.
"""

import base64
from dataclasses import dataclass

import cv2
import numpy as np

from evaluate.metrics.matching import Matches, match
from evaluate.tables import Array, Detections, align
from harness.data.dataset import Dataset
from harness.images.drawing import draw_boxes, draw_dashed, jpeg
from harness.images.letterbox import Image
from harness.images.photos import read_photo

IOU_MIN = 0.5
PHOTOS_PER_KIND = 3
SIDE = 720  # pixels of a shown photo's longer side
SEED = 0  # of the lot


@dataclass(frozen=True)
class Rating:
    """How well the boxes shown on one photo agree with its truth."""

    truths: int  # those marked difficult left out
    hits: int  # truths found, which is detections that found one
    false_positives: int

    @property
    def f1(self) -> float:
        """1 where nothing is there and nothing was detected."""
        boxes = self.truths + self.hits + self.false_positives
        return 2 * self.hits / boxes if boxes else 1.0


@dataclass(frozen=True)
class GalleryPhoto:
    """One photo with its boxes drawn on it."""

    image_id: str
    rating: Rating
    uri: str  # data:image/jpeg
    aspect: float  # width / height


@dataclass(frozen=True)
class Gallery:
    conf: float  # boxes with a lower score are not shown
    overall: Rating  # of all photos together
    groups: dict[str, list[GalleryPhoto]]  # by kind: Worst, Drawn by lot, Best


def gallery(dets: Detections, data: Dataset, conf: float) -> Gallery:
    """The chosen photos with boxes scored `conf` or more. Raises InputError for other photos."""
    dets = align(dets, data.truth)
    ratings = rate(match(dets, data.truth).above(conf), dets, data)
    shown = dets.take(dets.score >= np.float32(conf))  # scores are float32: compare them as such
    groups = {
        kind: [_draw_photo(data, shown, row, ratings[row]) for row in rows]
        for kind, rows in choose(ratings).items()
    }
    overall = Rating(
        truths=sum(rating.truths for rating in ratings),
        hits=sum(rating.hits for rating in ratings),
        false_positives=sum(rating.false_positives for rating in ratings),
    )
    return Gallery(conf, overall, groups)


def rate(matches: Matches, dets: Detections, data: Dataset) -> list[Rating]:
    """A rating for each photo, in order (1.)."""
    truth, photos = data.truth, len(data.photos)
    # (D,) the photo of each detection, in the order of the matches, and whether it hits.
    image, hits = dets.image[matches.row], matches.hits(IOU_MIN)
    false_positives = ~hits & ~matches.neutral(IOU_MIN)
    images = (truth.image[~truth.difficult], image[hits], image[false_positives])
    counts = (np.bincount(rows, minlength=photos) for rows in images)
    return [Rating(*map(int, row)) for row in zip(*counts, strict=True)]


def choose(ratings: list[Rating]) -> dict[str, list[int]]:
    """Rows of photos by kind, no photo twice; a kind without photos is left out (2.)."""

    def badness(row: int) -> tuple[float, int]:
        return ratings[row].f1, -ratings[row].truths - ratings[row].false_positives

    rows = list(range(len(ratings)))
    best = sorted(rows, key=lambda row: (-ratings[row].f1, -ratings[row].truths))
    best = best[:PHOTOS_PER_KIND]
    rows = [row for row in rows if row not in best]
    worst = sorted(rows, key=badness)[:PHOTOS_PER_KIND]
    rows = [row for row in rows if row not in worst]
    lot = np.random.default_rng(SEED).permutation(len(rows))[:PHOTOS_PER_KIND]
    kinds = {"Worst": worst, "Drawn by lot": [rows[i] for i in lot], "Best": best}
    return {kind: chosen for kind, chosen in kinds.items() if chosen}


def jpeg_uri(image: Image, side: int) -> str:
    """(h, w, 3) RGB, its longer side brought to `side` pixels, as a data URI."""
    data = jpeg(_resize(image, side)[0], quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def _draw_photo(data: Dataset, shown: Detections, row: int, rating: Rating) -> GalleryPhoto:
    """The truth in dashes, over it the detections with class and score, the best on top."""
    photo, ratio = _resize(read_photo(data.photos[row]), SIDE)
    dets = shown.take(shown.image == row)
    dets = dets.take(np.argsort(-dets.score, kind="stable"))
    captions = [
        f"{dets.classes[label]} {score:.2f}"
        for label, score in zip(dets.label, dets.score, strict=True)
    ]
    truth: Array = data.truth.xyxy[data.truth.image == row] * ratio
    image = draw_boxes(draw_dashed(photo, truth), dets.xyxy * ratio, dets.label, captions)
    return GalleryPhoto(
        image_id=data.truth.image_ids[row],
        rating=rating,
        uri=jpeg_uri(image, SIDE),
        aspect=photo.shape[1] / photo.shape[0],
    )


def _resize(image: Image, side: int) -> tuple[Image, float]:
    """The image with its longer side at `side` pixels, and the ratio of new to old."""
    ratio = side / max(image.shape[:2])
    if ratio == 1:
        return image, ratio
    width, height = (max(1, round(length * ratio)) for length in (image.shape[1], image.shape[0]))
    interpolation = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC
    resized: Image = cv2.resize(image, (width, height), interpolation=interpolation)
    return resized, ratio
