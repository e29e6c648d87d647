"""Detections frame by frame -> tracks: each object keeps one number, one label and a steady box.

The idea. Each object that was seen has a Kalman filter (evaluate.tracking.kalman_kernel), which
says where to expect it on the next frame. A new box is taken for the object whose expected place
it overlaps most, whatever its label: a person that a detector calls a bird on some frames stays
one object, and its sightings vote on the label. For each frame:

    1. forget objects out of sight for more than GAP_MAX, and all of them at a cut;
    2. predict where the others are now;
    3. group boxes that show one object, such as a person and a bird at one place: the best of a
       group leads it, the others only vote;
    4. match leaders to objects in three rounds, each greedily from the greatest overlap down:
       a. confirmed objects (seen at least once with a high score) with boxes of a high score,
       b. confirmed objects still without a box, with boxes of a low score,
       c. the other objects with any box that is left;
    5. update the matched objects, and start one for each box of a high score that is left.

Worked example of the rounds. A person walks behind a fence and is seen with 0.8, then with 0.15
for some frames, then with 0.8 again. 0.25 and more is high. Throwing low boxes away would lose the
person; letting each of them start an object would make objects of noise. Round b uses a low box
only where an object is expected anyway, after every high box has had its choice.

Source: these rounds are ByteTrack's, https://arxiv.org/abs/2110.06864. Differs: labels do not keep
boxes apart (another label lowers the overlap), places are compared with a margin, so that small
objects that move fast still overlap, gaps are in seconds, and a cut ends every object.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluate.boxes import cxcywh_to_xyxy, iou, with_margin, xyxy_to_cxcywh
from evaluate.loops import Kernels
from evaluate.tables import Array
from evaluate.tracking.video_detections import FrameBoxes

kalman = Kernels("evaluate.tracking.kalman_kernel")

GAP_MAX = 1.0  # seconds that an object may be out of sight and still be the same one
COAST_MAX = 0.4  # seconds that one out of sight is shown at its expected place
DISTINCT_IOU_MAX = 0.7  # boxes of one frame that overlap more show one object
MATCH_IOU_MIN = 0.4  # of a box and an expected place, both with a margin
MARGIN = 0.5  # of width and height, on each side
OTHER_LABEL = 0.7  # factor on that IoU where the label is not the object's


@dataclass
class Track:
    """One object, as far as it is known."""

    number: int  # from 1
    state: Array  # (2, 4), as evaluate.tracking.kalman_kernel says
    covariance: Array  # (3,)
    time: float  # of the state, seconds
    last_seen: float  # seconds
    votes: Array  # (C,) sum of the scores that each label had
    sightings: int = 0
    high_sightings: int = 0  # those with a high score

    @property
    def label(self) -> int:
        return int(self.votes.argmax())

    @property
    def score(self) -> float:
        """Of its label, the mean over all sightings."""
        return float(self.votes.max() / self.sightings)


class Tracker:
    """Follows objects from frame to frame."""

    def __init__(self, classes: int, conf_min: float, *, low_starts: bool = False):
        """Scores of `conf_min` or more are high. With `low_starts`, any box may start an object."""
        self._classes, self._conf_min = classes, np.float32(conf_min)
        self._low_starts = low_starts
        self._tracks: list[Track] = []
        self._count = 0
        self._shot = 0

    def track(self, time: float, shot: int, boxes: FrameBoxes) -> FrameBoxes:
        """The boxes of the next frame, at `time` in seconds -> the objects to show, best first.

        An object is shown from its second high sighting until COAST_MAX after its last one, while
        its own score is high.
        """
        self.assign(time, shot, boxes)
        near = [t for t in self._tracks if time - t.last_seen <= COAST_MAX and t.high_sightings > 1]
        shown = [track for track in near if track.score >= self._conf_min]
        shown.sort(key=lambda track: -track.score)

        cxcywh = np.array([track.state[0] for track in shown]).reshape(-1, 4)
        columns = np.array([(t.label, t.score, t.number) for t in shown]).reshape(-1, 3)
        label, score, number = columns.T
        return FrameBoxes(label.astype(int), cxcywh_to_xyxy(cxcywh), score, number.astype(int))

    def assign(self, time: float, shot: int, boxes: FrameBoxes) -> Array:
        """The boxes of the next frame -> the number of each one's object, 0 for none. (n,) int.

        Several boxes may have one number: the best stands for the object, the others only voted.
        """
        # 1. and 2.
        self._forget(time, shot)
        for track in self._tracks:
            kalman.predict(track.state, track.covariance, time - track.time)
            track.time = time

        # 3. and 4.
        leader = _group_leaders(boxes)
        rows = np.flatnonzero(leader == np.arange(len(leader)))
        track_of = dict(self._match(boxes, rows))

        # 5.
        for row, track in track_of.items():
            box = xyxy_to_cxcywh(boxes.xyxy[row])
            kalman.update(track.state, track.covariance, box, score_weight(boxes.score[row]))
        for row in rows.tolist():
            if row not in track_of and (self._low_starts or boxes.score[row] >= self._conf_min):
                track_of[row] = self._start(time, boxes, row)
        return self._record(time, boxes, leader, track_of)

    def _forget(self, time: float, shot: int) -> None:
        kept = (track for track in self._tracks if time - track.last_seen <= GAP_MAX)
        self._tracks = list(kept) if shot == self._shot else []
        self._shot = shot

    def _match(self, boxes: FrameBoxes, rows: Array) -> list[tuple[int, Track]]:
        """Step 4: which of the leading rows shows which known object."""
        if not self._tracks or not len(rows):
            return []
        expected = cxcywh_to_xyxy(np.array([track.state[0] for track in self._tracks]))
        labels = np.array([track.label for track in self._tracks])
        overlap = iou(with_margin(expected, MARGIN), with_margin(boxes.xyxy[rows], MARGIN))
        overlap *= np.where(labels[:, None] == boxes.label[rows], 1, OTHER_LABEL)  # (T, R)

        confirmed = np.array([track.high_sightings > 0 for track in self._tracks])[:, None]
        high = (boxes.score[rows] >= self._conf_min)[None]
        rounds = (confirmed & high, confirmed & ~high, ~confirmed & (high | ~high))
        matches = []
        for allowed in rounds:
            for t, r in _greedy_pairs(np.where(allowed, overlap, 0)):
                matches.append((int(rows[r]), self._tracks[t]))
                overlap[t], overlap[:, r] = 0, 0  # neither takes part in the next rounds
        return matches

    def _start(self, time: float, boxes: FrameBoxes, row: int) -> Track:
        self._count += 1
        box, weight = xyxy_to_cxcywh(boxes.xyxy[row]), score_weight(boxes.score[row])
        state, covariance = kalman.init(box, weight)
        votes = np.zeros(self._classes)
        self._tracks.append(Track(self._count, state, covariance, time, time, votes))
        return self._tracks[-1]

    def _record(
        self, time: float, boxes: FrameBoxes, leader: Array, track_of: dict[int, Track]
    ) -> Array:
        """Count sightings and votes -> the number of each box's object. (n,) int."""
        number = np.zeros(len(leader), np.int32)
        for row, leading in enumerate(leader.tolist()):
            if leading in track_of:
                number[row] = track_of[leading].number
                track_of[leading].votes[boxes.label[row]] += boxes.score[row]
        for row, track in track_of.items():
            track.last_seen = time
            track.sightings += 1
            track.high_sightings += bool(boxes.score[row] >= self._conf_min)
        return number


def score_weight(score: Array) -> Any:
    """How much the filter believes a box of this score; never 0, which would mean "not seen"."""
    return np.clip(score, 0.01, 1).astype(np.float64)


def _group_leaders(boxes: FrameBoxes) -> Array:
    """For each box the best one that shows the same object, often itself. (n,) -> (n,) rows.

    NMS over all labels that remembers which box suppressed which.
    """
    leader = np.arange(len(boxes.label))
    same = iou(boxes.xyxy, boxes.xyxy) > DISTINCT_IOU_MAX
    free = np.ones(len(leader), bool)
    for row in np.argsort(-boxes.score, kind="stable"):
        if free[row]:
            leader[same[row] & free] = row
            free &= ~same[row]
            free[row] = False  # a box without area has IoU 0 even with itself
    return leader


def _greedy_pairs(overlap: Array) -> list[tuple[int, int]]:
    """Pairs of row and column (R, C), each at most once, greatest overlap first."""
    pairs = []
    overlap = overlap.copy()
    while overlap.size:
        best = int(overlap.argmax())
        if overlap.flat[best] < MATCH_IOU_MIN:
            break
        row, column = divmod(best, overlap.shape[1])
        pairs.append((row, column))
        overlap[row], overlap[:, column] = 0, 0
    return pairs
