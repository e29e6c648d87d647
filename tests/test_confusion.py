"""evaluate.diagnosis.confusion: each outcome by hand, the rule in plain loops, then sums."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.diagnosis.confusion import Mistake, confusion
from evaluate.diagnosis.operating_point import curves_by_class
from evaluate.exceptions import InputError
from evaluate.metrics.matching import match
from evaluate.tables import Detections, GroundTruth
from tests.oracles import IMAGES, detections, random_tables, reordered, truths

CAT, DOG, BIRD = 0, 1, 2
HERE, THERE, NOWHERE = (0, 0, 10, 10), (50, 50, 60, 60), (90, 90, 99, 99)
TRUTH = truths((0, CAT, *HERE), (0, DOG, *THERE))


def confused(dets, truth, conf):
    return confusion(match(dets, truth), truth, conf)


def cells(dets, truth=TRUTH, conf=0.0):
    """What is not 0: {"row column": count}."""
    matrix = confused(dets, truth, conf).matrix
    names = truth.classes
    rows, columns = (*names, "background"), (*names, "missed")
    return {f"{rows[t]} {columns[d]}": int(matrix[t, d]) for t, d in np.argwhere(matrix)}


def test_the_truth_itself_is_on_the_diagonal():
    assert cells(detections((0, CAT, 0.9, *HERE), (0, DOG, 0.8, *THERE))) == {
        "cat cat": 1,
        "dog dog": 1,
    }


def test_without_detections_every_truth_is_missed():
    assert cells(detections()) == {"cat missed": 1, "dog missed": 1}


def test_a_box_of_another_class_takes_the_truth():
    assert cells(detections((0, BIRD, 0.9, *HERE))) == {"cat bird": 1, "dog missed": 1}


def test_the_best_scored_box_takes_the_truth_whatever_its_class():
    # the bird is first; the cat that would have hit finds its truth taken
    dets = detections((0, BIRD, 0.9, *HERE), (0, CAT, 0.8, *HERE))
    assert cells(dets) == {"cat bird": 1, "background cat": 1, "dog missed": 1}


def test_a_second_box_and_a_box_on_nothing_are_background():
    dets = detections(
        (0, CAT, 0.9, *HERE), (0, CAT, 0.8, *HERE), (0, DOG, 0.7, *NOWHERE), (1, DOG, 0.6, *THERE)
    )
    assert cells(dets) == {"cat cat": 1, "background cat": 1, "background dog": 2, "dog missed": 1}


def test_the_truth_of_its_own_class_goes_before_one_overlapped_more():
    # rider (a cat) and horse (a dog): IoU of the cat's box is 0.8 with the cat and 1 with the dog
    truth = truths((0, CAT, 0, 0, 10, 8), (0, DOG, 0, 0, 10, 10))
    assert cells(detections((0, CAT, 0.9, 0, 0, 10, 10)), truth) == {"cat cat": 1, "dog missed": 1}


def test_of_two_other_truths_the_one_overlapped_most_is_taken():
    truth = truths((0, CAT, 0, 0, 10, 8), (0, DOG, 0, 0, 10, 10))
    assert cells(detections((0, BIRD, 0.9, 0, 0, 10, 10)), truth) == {
        "dog bird": 1,
        "cat missed": 1,
    }


def test_overlap_of_exactly_one_half_is_enough_and_less_is_not():
    assert cells(detections((0, BIRD, 0.9, 0, 0, 10, 5)))["cat bird"] == 1
    assert cells(detections((0, BIRD, 0.9, 0, 0, 10, 4.9)))["background bird"] == 1


def test_a_difficult_truth_excuses_its_own_class_and_is_not_there_for_others():
    hard = truths((0, CAT, *HERE), (0, DOG, *THERE), difficult=(0,))
    assert cells(detections((0, CAT, 0.9, *HERE)), hard) == {"dog missed": 1}
    assert cells(detections((0, DOG, 0.9, *HERE)), hard) == {"background dog": 1, "dog missed": 1}


def test_boxes_below_the_confidence_are_not_there():
    dets = detections((0, BIRD, 0.4, *HERE), (0, CAT, 0.3, *HERE))
    assert cells(dets, conf=0.4) == {"cat bird": 1, "dog missed": 1}
    assert cells(dets, conf=0.5) == {"cat missed": 1, "dog missed": 1}


def test_mistakes_come_most_frequent_first_then_by_name():
    dets = detections(
        (0, BIRD, 0.9, *THERE), (1, BIRD, 0.9, *THERE), (0, DOG, 0.9, *HERE), (1, BIRD, 0.9, *HERE)
    )
    truth = truths((0, CAT, *HERE), (1, CAT, *HERE), (0, DOG, *THERE), (1, DOG, *THERE))
    confusions = confused(dets, truth, 0)
    assert confusions.mistakes() == [
        Mistake("dog", "bird", 2),
        Mistake("cat", "bird", 1),
        Mistake("cat", "dog", 1),
    ]
    assert (confusions.missed, confusions.false_positives) == (0, 0)


def test_a_confidence_out_of_range_is_refused():
    for conf in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="want 0 to 1"):
            confused(detections(), TRUTH, conf)


def mixed_tables(seed):
    """`random_tables` with a third of the detections under another class; twin truths in a box."""
    dets, truth = random_tables(seed)
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(len(dets)) < 1 / 3, rng.integers(0, 3, len(dets)), dets.label)
    doubled = np.append(np.arange(len(truth)), [0, 1, 2, 3])
    twin = truth.take(doubled)
    twin_label = np.append(truth.label, 1 - truth.label[:4])
    return replace(dets, label=label), replace(twin, label=twin_label)


def plain_confusion(dets, truth, conf):
    """{(class of the truth or None, class named or None): count}, box by box."""
    rows = sorted(
        (d for d in range(len(dets)) if dets.score[d] >= np.float32(conf)),
        key=lambda d: (
            -dets.score[d],
            dets.image_ids[dets.image[d]],
            *dets.xyxy[d],
            dets.classes[dets.label[d]],
        ),
    )
    order = sorted(
        range(len(truth)),
        key=lambda t: (*truth.xyxy[t], bool(truth.difficult[t]), truth.classes[truth.label[t]]),
    )
    taken, counts = {}, {}
    for d in rows:
        name = dets.classes[dets.label[d]]
        near = [
            t for t in order if truth.image_ids[truth.image[t]] == dets.image_ids[dets.image[d]]
        ]
        of_class = [t for t in near if truth.classes[truth.label[t]] == name]
        others = [t for t in near if not truth.difficult[t]]
        claim = None
        for pool in (of_class, others):
            best = max(pool, key=lambda t: plain_iou(dets.xyxy[d], truth.xyxy[t]), default=None)
            if (
                claim is None
                and best is not None
                and plain_iou(dets.xyxy[d], truth.xyxy[best]) >= 0.5
            ):
                claim = best
        if claim is not None and truth.difficult[claim]:
            continue
        free = claim is not None and claim not in taken
        if free:
            taken[claim] = d
        key = truth.classes[truth.label[claim]] if free else None, name
        counts[key] = counts.get(key, 0) + 1
    for t in range(len(truth)):
        if not truth.difficult[t] and t not in taken:
            key = truth.classes[truth.label[t]], None
            counts[key] = counts.get(key, 0) + 1
    return counts


def plain_iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = float(width) * float(height)
    return shared / (
        float(a[2] - a[0]) * float(a[3] - a[1]) + float(b[2] - b[0]) * float(b[3] - b[1]) - shared
    )


def by_name(result):
    names = (*result.classes, None)
    return {(names[t], names[d]): int(result.matrix[t, d]) for t, d in np.argwhere(result.matrix)}


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("conf", [0, 0.4])
def test_agrees_with_the_rule_in_plain_loops(seed, conf):
    dets, truth = mixed_tables(seed)
    assert by_name(confused(dets, truth, conf)) == plain_confusion(dets, truth, conf)


@pytest.mark.parametrize("seed", range(15))
def test_order_of_rows_images_and_classes_changes_nothing(seed):
    dets, truth = mixed_tables(seed)
    expected = by_name(confused(dets, truth, 0.2))
    assert by_name(confused(reordered(dets, seed), reordered(truth, seed + 100), 0.2)) == expected


@pytest.mark.parametrize("seed", range(15))
def test_rows_add_up_to_truths_and_columns_to_detections_that_count(seed):
    dets, truth = mixed_tables(seed)
    matrix = confused(dets, truth, 0.3).matrix
    matches = match(dets, truth).above(0.3)
    counting = np.bincount(matches.label[~matches.neutral(0.5)], minlength=3)
    np.testing.assert_array_equal(matrix[:-1].sum(1), matches.positives)
    np.testing.assert_array_equal(matrix[:, :-1].sum(0), counting)
    assert matrix[-1, -1] == 0
    hits = np.bincount(matches.label[matches.hits(0.5)], minlength=3)
    assert (np.diag(matrix)[:-1] <= hits).all()


@pytest.mark.parametrize("seed", range(15))
def test_with_one_class_the_diagonal_is_precision_and_recall(seed):
    dets, truth = random_tables(seed)
    one = {"classes": ("cat",)}
    dets, truth = (
        replace(table, **one, label=np.zeros_like(table.label)) for table in (dets, truth)
    )
    curve = curves_by_class(match(dets, truth))["cat"]
    for conf, precision, recall in zip(curve.conf, curve.precision, curve.recall):
        (hits, missed), (wrong, _) = confused(dets, truth, float(conf)).matrix
        assert hits / (hits + wrong) == precision and hits / (hits + missed) == recall


def test_images_without_boxes_are_fine():
    none = np.zeros((0, 4))
    empty = GroundTruth(IMAGES, ("cat",), [], [], none, [])
    assert not confused(Detections(IMAGES, ("cat",), [], [], none, []), empty, 0).matrix.any()
