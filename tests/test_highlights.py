"""evaluate.tracking.highlights: which frames of a video to look at."""

import numpy as np
import pytest

from evaluate.tracking.highlights import (
    MOMENTS_MAX,
    boxes_per_frame,
    moments,
    spacing,
    uncertainty,
)
from evaluate.tracking.video_detections import NO_BOXES, FrameBoxes, VideoDetections


def clip(*scores, time=None, shot=None):
    """A frame for each list of scores, a second apart."""
    frames = [
        FrameBoxes(
            np.zeros(len(s)), np.tile((0, 0, 9, 9), (len(s), 1)), np.array(s), np.zeros(len(s))
        )
        if s
        else NO_BOXES
        for s in scores
    ]
    ids = [f"{i}.jpg" for i in range(len(scores))]
    return VideoDetections.from_frames(
        ids,
        ("cat",),
        range(len(scores)) if time is None else time,
        shot or [0] * len(scores),
        frames,
    )


def blank(frames, **columns):
    return clip(*[[]] * frames, **columns)


def test_boxes_are_counted_by_frame():
    assert boxes_per_frame(clip([0.9, 0.1], [], [0.5])).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("scores", "bits"),
    [
        ([0.5], 1),
        ([0.25], 0.811278),  # 0.25 x 2 + 0.75 x 0.415037
        ([0.75], 0.811278),  # as far from sure
        ([0.5, 1.0], 0.5),  # the mean: a sure box beside one in uncertainty halves it
        ([0.5, 0.5], 1),
        ([0.0], 0),
        ([1.0], 0),
        ([], 0),
    ],
)
def test_uncertainty_is_the_mean_entropy_of_the_scores(scores, bits):
    assert uncertainty(clip(scores, [0.9])).tolist() == pytest.approx([bits, 0.468996], abs=2e-6)


def test_frames_of_the_same_scores_are_level_in_any_order():
    scores = np.random.default_rng(0).random(30)
    assert (
        len(set(uncertainty(clip(*(np.roll(scores, i).tolist() for i in range(30)))).tolist())) == 1
    )


def test_the_greatest_come_first_and_apart():
    value = np.zeros(61)
    value[[5, 6, 7, 11, 30, 50]] = 8, 9, 8, 4, 7, 5  # 60 s: more than 5 s apart
    assert spacing(blank(61)) == 5
    assert moments(value, blank(61)) == [6, 30, 50]
    value[12] = 6
    assert moments(value, blank(61)) == [6, 30, 12]


def test_moments_keep_away_from_those_of_another_kind():
    value = np.zeros(61)
    value[[10, 20, 30, 40]] = 9, 8, 7, 6
    assert moments(value, blank(61), besides=[33, 5, 10]) == [20, 40]


def test_apart_means_in_seconds_not_in_frames():
    time = [0, 1, 2, 3, 58, 59, 60]
    assert moments(np.array([7, 6, 5, 4, 3, 2, 1]), blank(7, time=time)) == [0, 4]


def test_a_value_that_lasts_is_shown_in_the_middle_of_its_longest_stretch():
    value = np.array([0, 5, 5, 5, 0, 0, 5, 5, 5, 5, 5, 5, 5, 0])
    assert moments(value, blank(14))[0] == 9


def test_a_cut_ends_a_stretch():
    assert moments(np.full(10, 3), blank(10, shot=[0] * 3 + [1] * 7))[0] == 6
    assert moments(np.full(10, 3), blank(10))[0] in (4, 5)


def test_two_kinds_find_room_wherever_the_first_ones_lie():
    rng = np.random.default_rng(0)
    for frames in (100, 1000):
        first = moments(rng.integers(1, 4, frames), blank(frames))
        rows = first + moments(rng.integers(1, 4, frames), blank(frames), besides=first)
        assert len(rows) == 2 * MOMENTS_MAX
        assert min(abs(a - b) for a in rows for b in rows if a != b) > (frames - 1) / 12


def test_frames_without_a_value_are_no_moments():
    assert moments(np.array([0, 2, 0, 0, 0, 0]), blank(6)) == [1]
    assert moments(np.zeros(6), blank(6)) == []
    assert moments(np.ones(1), blank(1)) == [0]
    assert moments(np.zeros(0), blank(0)) == []
