"""evaluate.tracking.video_table, evaluate.tracking.kalman, evaluate.tracking.tracker: a table with times, and boxes that keep still."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.exceptions import InputError
from evaluate.tables import Detections
from evaluate.tracking.kalman import smooth
from evaluate.tracking.tracker import GAP, Tracker, steady
from evaluate.tracking.video_table import NOTHING, Footage, Found, gather
from tests.scenes import RATE, detections, scene, steadiness

CLASSES = ("person", "bird")
BOX = np.array([100.0, 100, 200, 300])


def one(label=0, score=0.8, xyxy=BOX, count=1):
    """`count` boxes of one kind on a picture."""
    return Found(
        np.full(count, label),
        np.tile(xyxy, (count, 1)),
        np.full(count, score),
        np.zeros(count, int),
    )


def film(*pictures, shot=None):
    ids = [f"frame_{i}.jpg" for i in range(len(pictures))]
    return gather(
        ids, CLASSES, np.arange(len(pictures)) / RATE, shot or [0] * len(pictures), pictures
    )


def online(footage, conf=0.25):
    tracker = Tracker(len(footage.classes), conf)
    pictures = zip(footage.time.tolist(), footage.shot.tolist(), footage.pictures())
    return [tracker.see(*picture) for picture in pictures]


def test_footage_comes_back_from_its_file_and_reads_as_detections(tmp_path):
    footage = film(one(), NOTHING, one(1, 0.5))
    footage.save(tmp_path / "f.npz")
    back = Footage.load(tmp_path / "f.npz")
    assert back.time.tolist() == [0, 1 / RATE, 2 / RATE] and back.image.tolist() == [0, 2]
    plain = Detections.load(tmp_path / "f.npz")
    assert plain.image_ids == footage.image_ids and (plain.xyxy == footage.xyxy).all()


def test_a_table_without_times_is_no_footage(tmp_path):
    footage = film(one())
    Detections(
        footage.image_ids, CLASSES, footage.image, footage.label, footage.xyxy, footage.score
    ).save(tmp_path / "d.npz")
    with pytest.raises(
        InputError, match="want a Footage table, column time, shot, track is missing"
    ):
        Footage.load(tmp_path / "d.npz")


@pytest.mark.parametrize("time", [[0.0], [0.0, 0.0], [0.0, np.nan]])
def test_times_that_do_not_grow_are_refused(time):
    with pytest.raises(InputError, match="time"):
        replace(film(one(), one()), time=np.array(time))


def test_smoothing_leaves_straight_motion_where_it_is():
    time = np.array([0, 0.04, 0.08, 0.2, 0.24, 0.3])
    there = np.outer(time, [100, -50, 10, 0]) + [300, 200, 80, 60]
    seen, weight = there.copy(), np.array([1, 1, 0, 1, 0, 1.0])
    seen[weight == 0] = -999
    assert np.abs(smooth(time, seen, weight) - there).max() < 1.5


def test_smoothing_equals_the_least_squares_it_stands_for():
    """The smoother's boxes minimise blur and nudges together: solved here as one linear system."""
    from evaluate.tracking.kalman import BLUR, NUDGE, SPEED

    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.02, 0.1, 12))
    weight = np.where(rng.random(12) < 0.3, 0, rng.uniform(0.2, 1, 12))
    weight[0] = 0.7
    seen = rng.normal(0, 1, (12, 4))
    n = 2 * len(time)  # value and change at each time
    system, right = np.zeros((n, n)), np.zeros((n, 4))
    system[1, 1] += 1 / SPEED
    for i, w in enumerate(weight):
        system[2 * i, 2 * i] += w / BLUR
        right[2 * i] += w / BLUR * seen[i]
    for i, dt in enumerate(np.diff(time)):
        step = np.array([[-1, -dt, 1, 0], [0, -1, 0, 1]])
        noise = NUDGE * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        system[2 * i : 2 * i + 4, 2 * i : 2 * i + 4] += step.T @ np.linalg.solve(noise, step)
    wanted = np.linalg.solve(system, right)[::2]
    assert smooth(time, seen, weight) == pytest.approx(wanted, abs=1e-6)


def test_a_person_called_a_bird_for_some_pictures_stays_one_person():
    pictures = [one(1 if 5 <= i < 9 else 0) for i in range(20)]
    shown = steady(film(*pictures), 0.25)
    assert shown.label.tolist() == [0] * 20 and set(shown.track.tolist()) == {1}
    labels = np.concatenate([found.label for found in online(film(*pictures))])
    assert set(labels.tolist()) == {0} and len(labels) == 19  # from the second sighting


def test_two_names_for_one_box_are_one_object():
    both = Found(np.array([0, 1]), np.array([BOX, BOX + 2]), np.array([0.4, 0.6]), np.zeros(2, int))
    shown = steady(film(*[both] * 4, *[one(0)] * 4), 0.25)
    assert len(shown) == 8 and set(shown.label.tolist()) == {0}  # 4 * 0.4 + 4 * 0.8 against 4 * 0.6


def test_a_gap_is_bridged_and_a_longer_absence_is_not():
    short = [one() if not 5 <= i < 15 else NOTHING for i in range(25)]
    assert [len(found.label) for found in steady(film(*short), 0.25).pictures()] == [1] * 25
    out = round(GAP * RATE) + 2
    long = [one()] * 5 + [NOTHING] * out + [one()] * 5
    shown = steady(film(*long), 0.25)
    assert len(shown) == 10 and set(shown.track.tolist()) == {1, 2}


def test_a_cut_ends_every_object():
    shown = steady(film(*[one(0)] * 10, *[one(1)] * 10, shot=[0] * 10 + [1] * 10), 0.25)
    assert (
        shown.label.tolist() == [0] * 10 + [1] * 10 and shown.track.tolist() == [1] * 10 + [2] * 10
    )
    after = online(film(*[one(0)] * 10, *[NOTHING] * 5, shot=[0] * 10 + [1] * 5))
    assert sum(len(found.label) for found in after[10:]) == 0


def test_what_is_seen_twice_was_nothing_and_weak_boxes_alone_too():
    assert len(steady(film(*[one()] * 2, *[NOTHING] * 9), 0.25)) == 0
    assert len(steady(film(*[one(score=0.2)] * 20), 0.25)) == 0
    assert len(steady(film(*[one(score=0.2)] * 20, *[one()] * 3), 0.25)) == 23


def test_what_is_mostly_weak_goes_though_it_was_strong_three_times():
    pictures = [*[one()] * 3, *[one(score=0.1)] * 60]
    assert len(steady(film(*pictures), 0.25)) == 0
    counts = [len(found.label) for found in online(film(*pictures))]
    assert counts[:4] == [0, 1, 1, 1] and counts[30:] == [0] * 33


def test_an_object_out_of_sight_is_shown_for_a_moment_while_nobody_knows():
    counts = [len(found.label) for found in online(film(*[one()] * 5, *[NOTHING] * 20))]
    assert counts == [0, *[1] * 4, *[1] * 10, *[0] * 10]  # 0.4 s of 25 pictures a second


def test_two_that_cross_keep_their_numbers():
    def side_by_side(i):
        left, right = BOX + [12 * i, 0, 12 * i, 0], BOX + [600 - 12 * i, 30, 600 - 12 * i, 30]
        return Found(np.zeros(2, int), np.array([left, right]), np.full(2, 0.8), np.zeros(2, int))

    shown = steady(film(*map(side_by_side, range(50))), 0.25).pictures()
    first = [found.xyxy[found.track == 1][0, 0] for found in shown]
    assert len(first) == 50 and (np.diff(first) * np.sign(first[-1] - first[0]) > 0).all()


def test_nothing_at_all_is_no_object():
    assert len(steady(film(NOTHING, NOTHING), 0.25)) == 0 and len(steady(film(), 0.25)) == 0
    assert [len(found.label) for found in online(film(NOTHING, NOTHING))] == [0, 0]


def test_boxes_on_a_poor_detectors_footage_become_steady():
    """Over six scenes: raw 0.78 recall, 1157 blinks, 1989 flips, 7.2 pixels of jitter."""
    kinds = {"raw": [], "online": [], "offline": []}
    for seed in range(6):
        there = scene(seed=seed)
        footage = detections(there, seed)
        kinds["raw"].append(
            steadiness(there, footage.take(footage.score >= np.float32(0.25)).pictures())
        )
        kinds["online"].append(steadiness(there, online(footage)))
        kinds["offline"].append(steadiness(there, steady(footage, 0.25).pictures()))
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
