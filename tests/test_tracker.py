"""evaluate.tracking: a table with times, the filter, the tracker and the smoother."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.exceptions import InputError
from evaluate.tables import Detections
from evaluate.tracking.kalman_kernel import (
    ACCELERATION_NOISE,
    DETECTION_VARIANCE,
    VELOCITY_VARIANCE,
    smooth,
)
from evaluate.tracking.smoother import smooth_tracks
from evaluate.tracking.tracker import GAP_MAX, Tracker
from evaluate.tracking.video_detections import NO_BOXES, FrameBoxes, VideoDetections
from tests.scenes import RATE, detections, scene, steadiness

CLASSES = ("person", "bird")
BOX = np.array([100.0, 100, 200, 300])


def one(label=0, score=0.8, xyxy=BOX, count=1):
    """`count` boxes of one kind on a frame."""
    return FrameBoxes(
        np.full(count, label),
        np.tile(xyxy, (count, 1)),
        np.full(count, score),
        np.zeros(count, int),
    )


def clip(*frames, shot=None):
    ids = [f"frame_{i}.jpg" for i in range(len(frames))]
    return VideoDetections.from_frames(
        ids, CLASSES, np.arange(len(frames)) / RATE, shot or [0] * len(frames), frames
    )


def online(video, conf=0.25):
    tracker = Tracker(len(video.classes), conf)
    frames = zip(video.time.tolist(), video.shot.tolist(), video.frames())
    return [tracker.track(*frame) for frame in frames]


def test_a_video_table_comes_back_from_its_file_and_reads_as_detections(tmp_path):
    video = clip(one(), NO_BOXES, one(1, 0.5))
    video.save(tmp_path / "f.npz")
    back = VideoDetections.load(tmp_path / "f.npz")
    assert back.time.tolist() == [0, 1 / RATE, 2 / RATE] and back.image.tolist() == [0, 2]
    plain = Detections.load(tmp_path / "f.npz")
    assert plain.image_ids == video.image_ids and (plain.xyxy == video.xyxy).all()


def test_a_table_without_times_is_no_video_table(tmp_path):
    video = clip(one())
    Detections(video.image_ids, CLASSES, video.image, video.label, video.xyxy, video.score).save(
        tmp_path / "d.npz"
    )
    with pytest.raises(
        InputError, match="want a VideoDetections table, column time, shot, track is missing"
    ):
        VideoDetections.load(tmp_path / "d.npz")


@pytest.mark.parametrize("time", [[0.0], [0.0, 0.0], [0.0, np.nan]])
def test_times_that_do_not_grow_are_refused(time):
    with pytest.raises(InputError, match="time"):
        replace(clip(one(), one()), time=np.array(time))


def test_smoothing_leaves_straight_motion_where_it_is():
    time = np.array([0, 0.04, 0.08, 0.2, 0.24, 0.3])
    truth = np.outer(time, [100, -50, 10, 0]) + [300, 200, 80, 60]
    seen, weight = truth.copy(), np.array([1, 1, 0, 1, 0, 1.0])
    seen[weight == 0] = -999
    assert np.abs(smooth(time, seen, weight) - truth).max() < 1.5


def test_smoothing_equals_the_least_squares_it_stands_for():
    """Its boxes minimise detection errors and accelerations together: one linear system here."""
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.02, 0.1, 12))
    weight = np.where(rng.random(12) < 0.3, 0, rng.uniform(0.2, 1, 12))
    weight[0] = 0.7
    seen = rng.normal(0, 1, (12, 4))
    n = 2 * len(time)  # value and change at each time
    system, right = np.zeros((n, n)), np.zeros((n, 4))
    system[1, 1] += 1 / VELOCITY_VARIANCE
    for i, w in enumerate(weight):
        system[2 * i, 2 * i] += w / DETECTION_VARIANCE
        right[2 * i] += w / DETECTION_VARIANCE * seen[i]
    for i, dt in enumerate(np.diff(time)):
        step = np.array([[-1, -dt, 1, 0], [0, -1, 0, 1]])
        noise = ACCELERATION_NOISE * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        system[2 * i : 2 * i + 4, 2 * i : 2 * i + 4] += step.T @ np.linalg.solve(noise, step)
    wanted = np.linalg.solve(system, right)[::2]
    assert smooth(time, seen, weight) == pytest.approx(wanted, abs=1e-6)


def test_a_person_called_a_bird_on_some_frames_stays_one_person():
    frames = [one(1 if 5 <= i < 9 else 0) for i in range(20)]
    shown = smooth_tracks(clip(*frames), 0.25)
    assert shown.label.tolist() == [0] * 20 and set(shown.track.tolist()) == {1}
    labels = np.concatenate([boxes.label for boxes in online(clip(*frames))])
    assert set(labels.tolist()) == {0} and len(labels) == 19  # from the second sighting


def test_two_names_for_one_box_are_one_object():
    both = FrameBoxes(
        np.array([0, 1]), np.array([BOX, BOX + 2]), np.array([0.4, 0.6]), np.zeros(2, int)
    )
    shown = smooth_tracks(clip(*[both] * 4, *[one(0)] * 4), 0.25)
    assert len(shown) == 8 and set(shown.label.tolist()) == {0}  # 4 * 0.4 + 4 * 0.8 against 4 * 0.6


def test_a_gap_is_bridged_and_a_longer_absence_is_not():
    short = [one() if not 5 <= i < 15 else NO_BOXES for i in range(25)]
    assert [len(boxes.label) for boxes in smooth_tracks(clip(*short), 0.25).frames()] == [1] * 25
    out = round(GAP_MAX * RATE) + 2
    long = [one()] * 5 + [NO_BOXES] * out + [one()] * 5
    shown = smooth_tracks(clip(*long), 0.25)
    assert len(shown) == 10 and set(shown.track.tolist()) == {1, 2}


def test_a_cut_ends_every_object():
    shown = smooth_tracks(clip(*[one(0)] * 10, *[one(1)] * 10, shot=[0] * 10 + [1] * 10), 0.25)
    assert (
        shown.label.tolist() == [0] * 10 + [1] * 10 and shown.track.tolist() == [1] * 10 + [2] * 10
    )
    after = online(clip(*[one(0)] * 10, *[NO_BOXES] * 5, shot=[0] * 10 + [1] * 5))
    assert sum(len(boxes.label) for boxes in after[10:]) == 0


def test_what_is_seen_twice_was_nothing_and_weak_boxes_alone_too():
    assert len(smooth_tracks(clip(*[one()] * 2, *[NO_BOXES] * 9), 0.25)) == 0
    assert len(smooth_tracks(clip(*[one(score=0.2)] * 20), 0.25)) == 0
    assert len(smooth_tracks(clip(*[one(score=0.2)] * 20, *[one()] * 3), 0.25)) == 23


def test_what_is_mostly_weak_goes_though_it_was_strong_three_times():
    frames = [*[one()] * 3, *[one(score=0.1)] * 60]
    assert len(smooth_tracks(clip(*frames), 0.25)) == 0
    counts = [len(boxes.label) for boxes in online(clip(*frames))]
    assert counts[:4] == [0, 1, 1, 1] and counts[30:] == [0] * 33


def test_an_object_out_of_sight_is_shown_for_a_moment_while_nobody_knows():
    counts = [len(boxes.label) for boxes in online(clip(*[one()] * 5, *[NO_BOXES] * 20))]
    assert counts == [0, *[1] * 4, *[1] * 10, *[0] * 10]  # 0.4 s of 25 frames a second


def test_two_that_cross_keep_their_numbers():
    def side_by_side(i):
        left, right = BOX + [12 * i, 0, 12 * i, 0], BOX + [600 - 12 * i, 30, 600 - 12 * i, 30]
        return FrameBoxes(
            np.zeros(2, int), np.array([left, right]), np.full(2, 0.8), np.zeros(2, int)
        )

    shown = smooth_tracks(clip(*map(side_by_side, range(50))), 0.25).frames()
    first = [boxes.xyxy[boxes.track == 1][0, 0] for boxes in shown]
    assert len(first) == 50 and (np.diff(first) * np.sign(first[-1] - first[0]) > 0).all()


def test_nothing_at_all_is_no_object():
    assert (
        len(smooth_tracks(clip(NO_BOXES, NO_BOXES), 0.25)) == 0
        and len(smooth_tracks(clip(), 0.25)) == 0
    )
    assert [len(boxes.label) for boxes in online(clip(NO_BOXES, NO_BOXES))] == [0, 0]


def test_boxes_on_a_poor_detectors_video_become_steady():
    """Over six scenes: raw 0.78 recall, 1157 blinks, 1989 flips, 7.2 pixels of jitter."""
    kinds = {"raw": [], "online": [], "offline": []}
    for seed in range(6):
        truth = scene(seed=seed)
        video = detections(truth, seed)
        kinds["raw"].append(steadiness(truth, video.take(video.score >= np.float32(0.25)).frames()))
        kinds["online"].append(steadiness(truth, online(video)))
        kinds["offline"].append(steadiness(truth, smooth_tracks(video, 0.25).frames()))
    raw, live, late = (
        {name: np.sum([getattr(seen, name) for seen in all_seen]) for name in vars(all_seen[0])}
        for all_seen in kinds.values()
    )
    assert raw["blinks"] > 1000 and raw["flips"] > 1500
    assert (
        live["recall"] / 6 > 0.98
        and live["blinks"] <= 0.05 * raw["blinks"]
        and live["flips"] <= 0.01 * raw["flips"]
    )
    assert (
        late["recall"] / 6 > 0.99 and late["blinks"] <= 0.02 * raw["blinks"] and late["flips"] == 0
    )
    assert live["jitter"] < 0.5 * raw["jitter"] and late["jitter"] < 0.1 * raw["jitter"]
    assert live["precision"] > raw["precision"] and late["precision"] > raw["precision"]
