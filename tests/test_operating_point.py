"""evaluate.diagnosis.operating_point: curves by hand, every cut in plain loops, then laws."""

import numpy as np
import pytest

from evaluate.diagnosis.operating_point import OperatingPoint, curve_over_all, curves_by_class
from evaluate.exceptions import InputError
from evaluate.metrics.matching import match
from evaluate.metrics.voc import precision_recall
from tests.oracles import detections, random_tables, reordered, truths

CAT, DOG = 0, 1
TWO_CATS = truths((0, CAT, 0, 0, 10, 10), (0, CAT, 50, 50, 60, 60))
HIT, ANOTHER, ALARM = (0, 0, 10, 10), (50, 50, 60, 60), (90, 90, 99, 99)


def cats(*scored):
    return detections(*((0, CAT, score, *box) for score, box in scored))


def test_the_curve_of_three_boxes():
    # from 0.9: 1 of 1 right, 1 of 2 found; from 0.8: 1 of 2, 1 of 2; from 0.7: 2 of 3, 2 of 2
    curve = curve_over_all(match(cats((0.9, HIT), (0.8, ALARM), (0.7, ANOTHER)), TWO_CATS))
    np.testing.assert_array_equal(curve.conf, np.float32([0.9, 0.8, 0.7]))
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(curve.f1, [2 / 3, 1 / 2, 4 / 5])
    assert curve.best == OperatingPoint(float(np.float32(0.7)), 2 / 3, 1, 4 / 5)


def test_a_threshold_takes_all_of_equal_scores_or_none():
    # a cut takes both of the two at 0.9: 2 / (2 + 2); from 0.5: 4 / (2 + 3)
    curve = curve_over_all(match(cats((0.9, HIT), (0.9, ALARM), (0.5, ANOTHER)), TWO_CATS))
    np.testing.assert_allclose(curve.f1, [1 / 2, 4 / 5])


def test_of_equal_f1_the_highest_confidence_is_best():
    # from 0.9: 2 / (1 + 2); from 0.5: 4 / (4 + 2)
    dets = cats((0.9, HIT), (0.8, ALARM), (0.7, (70, 0, 80, 10)), (0.5, ANOTHER))
    curve = curve_over_all(match(dets, TWO_CATS))
    assert curve.f1[0] == curve.f1[-1] == 2 / 3 and curve.best.conf == np.float32(0.9)


def test_what_hits_a_difficult_truth_counts_neither_way():
    hard = truths((0, CAT, *HIT), (0, CAT, *ANOTHER), difficult=(0,))
    curve = curve_over_all(match(cats((0.9, HIT), (0.7, ANOTHER)), hard))
    assert curve.conf == np.float32([0.7]) and curve.best == OperatingPoint(
        float(np.float32(0.7)), 1, 1, 1
    )


def test_boxes_of_a_class_without_truth_are_false_positives_of_the_whole_alone():
    matches = match(
        detections((0, CAT, 0.9, *HIT), (0, CAT, 0.7, *ANOTHER), (0, DOG, 0.8, *HIT)), TWO_CATS
    )
    assert curve_over_all(matches).best.precision == pytest.approx(2 / 3)
    assert (
        list(curves_by_class(matches)) == ["cat"]
        and curves_by_class(matches)["cat"].best.precision == 1
    )


def test_without_detections_there_is_no_best():
    matches = match(detections(), TWO_CATS)
    assert curve_over_all(matches).best is None and curves_by_class(matches)["cat"].best is None


def test_a_truth_that_nothing_counts_in_is_refused():
    with pytest.raises(InputError, match="no box that counts"):
        curve_over_all(match(cats((0.9, HIT)), truths((0, CAT, *HIT), difficult=(0,))))


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_cutting_at_every_score(seed):
    matches = match(*random_tables(seed))
    for name, curve in {None: curve_over_all(matches), **curves_by_class(matches)}.items():
        wanted = [
            True if name is None else matches.classes[c] == name
            for c in range(len(matches.classes))
        ]
        truths_ = matches.positives[wanted].sum()
        seen = []
        for conf in sorted(set(matches.score.tolist()), reverse=True):
            left = matches.above(conf)
            counting = np.array(wanted)[left.label] & ~left.neutral(0.5)
            if (left.score[counting] == np.float32(conf)).any():
                hit, shown = left.hits(0.5)[counting].sum(), counting.sum()
                seen.append((conf, hit / shown, hit / truths_, 2 * hit / (shown + truths_)))
        columns = (curve.conf, curve.precision, curve.recall, curve.f1)
        np.testing.assert_allclose(np.array(columns, np.float64).T, seen, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_a_class_curve_lies_on_its_curve_of_precision_over_recall(seed):
    dets, truth = random_tables(seed)
    ranked = precision_recall(dets, truth)
    for name, curve in curves_by_class(match(dets, truth)).items():
        last = np.searchsorted(-ranked[name].score, -curve.conf, side="right") - 1
        np.testing.assert_array_equal(curve.recall, ranked[name].recall[last])
        np.testing.assert_array_equal(curve.precision, ranked[name].precision[last])


@pytest.mark.parametrize("seed", range(10))
def test_order_of_rows_images_and_classes_changes_nothing(seed):
    dets, truth = random_tables(seed)
    expected, other = match(dets, truth), match(reordered(dets, seed), reordered(truth, seed + 100))
    assert curve_over_all(other).best == curve_over_all(expected).best
    assert {name: curve.best for name, curve in curves_by_class(other).items()} == {
        name: curve.best for name, curve in curves_by_class(expected).items()
    }
