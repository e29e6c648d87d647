"""Detections over a video -> objects: one number, one label and a steady box each. Imports numba: import this late.

A box is taken for the object whose expected place it meets best, whatever its label: a person that a detector calls a
bird for some pictures stays one object, and the labels are voted on. Boxes of high score choose first, the others
keep an object in sight. Source: the order of these rounds is ByteTrack's (https://arxiv.org/abs/2110.06864). Differs:
labels do not keep boxes apart, places are compared with a margin, gaps are in seconds, and a cut ends all objects.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evaluate.boxes import iou
from evaluate.tables import Array
from evaluate.tracking.kalman import advance, begin, correct, smooth
from evaluate.tracking.video_table import NOTHING, Footage, Found

GAP = 1.0  # seconds that an object may be out of sight
COAST = 0.4  # seconds that one out of sight is shown where it is expected, while nobody knows whether it comes back
SIGHTINGS_MIN = 3  # of a score that counts, or there was nothing
SAME = 0.7  # IoU above which two boxes of a picture show one object
MEETS = 0.4  # least IoU of a box and an expected place, both with a margin
MARGIN = 0.5  # of width and height, on each side
OTHER_LABEL = 0.7  # what is left of that IoU where the label is not the object's


@dataclass
class Track:
    """An object on its way."""

    number: int
    state: Array  # (2, 4), as evaluate.tracking.kalman says
    spread: Array  # (3,)
    time: float  # of the state, seconds
    seen: float  # when it was last seen
    votes: Array  # (C,) sum of the scores that each label had
    sightings: int = 0
    sure: int = 0  # sightings of a score that counts

    @property
    def label(self) -> int:
        return int(self.votes.argmax())

    @property
    def score(self) -> float:
        """Of its label, the mean over all sightings."""
        return float(self.votes.max() / self.sightings)


class Tracker:
    """Follows objects from picture to picture."""

    def __init__(self, classes: int, conf: float, *, patient: bool = False):
        """Scores of at least `conf` count. A patient tracker lets boxes of any score begin an object."""
        self._classes, self._conf, self._patient = classes, np.float32(conf), patient
        self._tracks: list[Track] = []
        self._count = 0
        self._shot = 0

    def see(self, time: float, shot: int, found: Found) -> Found:
        """The boxes of the next picture, at `time` in seconds -> the objects to show on it, best first.

        An object is shown from its second sighting that counts, for COAST after its last, and while its score counts.
        """
        self.assign(time, shot, found)
        near = [track for track in self._tracks if time - track.seen <= COAST and track.sure > 1]
        shown = [track for track in near if track.score >= self._conf]
        shown.sort(key=lambda track: -track.score)
        boxes = np.array([track.state[0] for track in shown]).reshape(-1, 4)
        label, score, number = (
            np.array([(t.label, t.score, t.number) for t in shown]).reshape(-1, 3).T
        )
        return Found(label.astype(int), _xyxy(boxes), score, number.astype(int))

    def assign(self, time: float, shot: int, found: Found) -> Array:
        """The boxes of the next picture -> the number of each one's object, 0 for none. (n,) int.

        Several boxes may have one number: the best stands for the object, the others vote on its label.
        """
        self._tracks = [
            track for track in self._tracks if time - track.seen <= GAP and shot == self._shot
        ]
        self._shot = shot
        for track in self._tracks:
            advance(track.state, track.spread, time - track.time)
            track.time = time
        leader = _leaders(found)
        rows = np.flatnonzero(leader == np.arange(len(leader)))
        taken: dict[int, Track] = {}
        for row, track in self._meetings(found, rows):
            correct(track.state, track.spread, _cxcywh(found.xyxy[row]), _weight(found.score[row]))
            taken[row] = track
        for row in rows.tolist():
            if row not in taken and (self._patient or found.score[row] >= self._conf):
                taken[row] = self._begin(time, found, row)
        number = np.zeros(len(leader), np.int32)
        for row, of in enumerate(leader.tolist()):
            if of in taken:
                number[row] = taken[of].number
                taken[of].votes[found.label[row]] += found.score[row]
        for row, track in taken.items():
            track.seen = time
            track.sightings += 1
            track.sure += bool(found.score[row] >= self._conf)
        return number

    def _begin(self, time: float, found: Found, row: int) -> Track:
        self._count += 1
        state, spread = begin(_cxcywh(found.xyxy[row]), _weight(found.score[row]))
        self._tracks.append(Track(self._count, state, spread, time, time, np.zeros(self._classes)))
        return self._tracks[-1]

    def _meetings(self, found: Found, rows: Array) -> list[tuple[int, Track]]:
        """Which row shows which known object: objects that are sure choose first, among boxes that count first."""
        if not self._tracks or not len(rows):
            return []
        expected = _xyxy(np.array([track.state[0] for track in self._tracks]))
        labels = np.array([track.label for track in self._tracks])
        overlap = iou(_with_margin(expected), _with_margin(found.xyxy[rows]))
        overlap *= np.where(labels[:, None] == found.label[rows], 1, OTHER_LABEL)
        known = np.array([track.sure > 0 for track in self._tracks])[:, None]
        counts = (found.score[rows] >= self._conf)[None]
        met = []
        for allowed in (known & counts, known & ~counts, ~known & (counts | ~counts)):
            for t, r in _pairs(np.where(allowed, overlap, 0)):
                met.append((int(rows[r]), self._tracks[t]))
                overlap[t], overlap[:, r] = 0, 0
        return met


def steady(footage: Footage, conf: float) -> Footage:
    """The objects of a whole video: numbered, each with its one label from its first to its last sighting.

    Boxes are smoothed with what came before and after, pictures without a sighting in between are filled in, and what
    had fewer than SIGHTINGS_MIN sightings with a score of at least `conf`, or has a lower one itself, goes. Scores are
    means over sightings.
    """
    footage = footage.take(np.lexsort((-footage.score, footage.image)))
    tracker = Tracker(len(footage.classes), conf, patient=True)
    pictures = zip(footage.time.tolist(), footage.shot.tolist(), footage.pictures(), strict=True)
    number = np.concatenate(
        [tracker.assign(*picture) for picture in pictures] or [np.zeros(0, int)]
    )

    order = np.argsort(number, kind="stable")
    counts = footage.score >= np.float32(conf)
    enough = min(SIGHTINGS_MIN, len(footage.image_ids))
    images, parts = [np.zeros(0, int)], [NOTHING]
    for rows in np.split(order, np.flatnonzero(np.diff(number[order])) + 1):
        if len(rows) == 0 or number[rows[0]] == 0 or counts[rows].sum() < enough:
            continue
        first, found = _object(footage, rows, len(parts))
        if found.score[0] >= np.float32(conf):
            images.append(np.arange(first, first + len(found.label)))
            parts.append(found)
    image = np.concatenate(images)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((-columns[2], image))
    label, xyxy, score, track = (column[order] for column in columns)
    return replace(footage, image=image[order], label=label, xyxy=xyxy, score=score, track=track)


def _object(footage: Footage, rows: Array, number: int) -> tuple[int, Found]:
    """The rows of one object, by image, best first -> the image it starts on; its box there and on those after it."""
    image, place = np.unique(footage.image[rows], return_index=True)
    best = rows[place]  # the others only vote
    votes = np.bincount(footage.label[rows], footage.score[rows])
    first, n = int(image[0]), int(image[-1] - image[0] + 1)
    boxes, weight = np.zeros((n, 4)), np.zeros(n)
    boxes[image - first] = _cxcywh(footage.xyxy[best])
    weight[image - first] = _weight(footage.score[best])
    smoothed = _xyxy(smooth(footage.time[first : first + n], boxes, weight))
    score = votes.max() / len(image)
    return first, Found(np.full(n, votes.argmax()), smoothed, np.full(n, score), np.full(n, number))


def _weight(score: Array) -> Any:
    """How much a box of this score is believed: none not at all."""
    return np.clip(score, 0.01, 1).astype(np.float64)


def _leaders(found: Found) -> Array:
    """For each box the best one that shows the same object, often itself. (n,) -> (n,) rows."""
    leader = np.arange(len(found.label))
    same = iou(found.xyxy, found.xyxy) > SAME
    free = np.ones(len(leader), bool)
    for row in np.argsort(-found.score, kind="stable"):
        if free[row]:
            leader[same[row] & free] = row
            free &= ~same[row]
            free[row] = False
    return leader


def _pairs(overlap: Array) -> list[tuple[int, int]]:
    """Rows and columns (R, C) that meet, each at most once, the greatest overlap first."""
    met = []
    overlap = overlap.copy()
    while overlap.size and (best := overlap.argmax()) is not None and overlap.flat[best] >= MEETS:
        t, r = divmod(int(best), overlap.shape[1])
        met.append((t, r))
        overlap[t], overlap[:, r] = 0, 0
    return met


def _with_margin(xyxy: Array) -> Array:
    sides = np.tile(xyxy[:, 2:] - xyxy[:, :2], 2) * MARGIN
    return xyxy + sides * (-1, -1, 1, 1)


def _cxcywh(xyxy: Array) -> Array:
    xyxy = np.asarray(xyxy, np.float64)
    low, high = xyxy[..., :2], xyxy[..., 2:]
    return np.concatenate([(low + high) / 2, high - low], -1)


def _xyxy(cxcywh: Array) -> Array:
    centre, half = cxcywh[..., :2], cxcywh[..., 2:].clip(0) / 2
    return np.concatenate([centre - half, centre + half], -1)
