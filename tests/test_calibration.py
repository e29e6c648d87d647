"""evaluate.diagnosis.calibration: bins by hand, edges, then laws."""

import numpy as np
import pytest

from evaluate.diagnosis.calibration import BINS, calibration
from evaluate.metrics.matching import match
from tests.oracles import detections, random_tables, reordered, truths

CAT = 0
HIT, ALARM = (0, 0, 10, 10), (90, 90, 99, 99)
ONE_CAT = truths((0, CAT, *HIT))


def measured(*scored, truth=ONE_CAT):
    return calibration(match(detections(*((0, CAT, score, *box) for score, box in scored)), truth))


def test_error_is_the_gap_of_each_bin_averaged_over_detections():
    # bin from 0.8: mean score 0.85, one hit of two; bin from 0.2: mean score 0.2, none of one
    calibrated = measured((0.875, HIT), (0.825, ALARM), (0.2, ALARM))
    assert calibrated.count.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 2, 0]
    assert calibrated.score[8] == pytest.approx(0.85) and calibrated.hits[8] == 0.5
    assert calibrated.error == pytest.approx((2 * 0.35 + 1 * 0.2) / 3)
    assert calibrated.excess == pytest.approx((2 * 0.35 + 1 * 0.2) / 3)


@pytest.mark.parametrize(
    ("rows", "interval"),
    [
        ([(0, CAT, 0.75, *HIT), (1, CAT, 0.75, *HIT)], (0.25, 0.25)),  # whichever photos are drawn
        (
            [(0, CAT, 1.0, *HIT), (1, CAT, 0.5, *ALARM)],
            (0.0, 0.5),
        ),  # the first twice, or the second
        (
            [(0, CAT, 1.0, *HIT), (0, CAT, 0.5, *ALARM)],
            (0.25, 0.25),
        ),  # the second photo alone has no error
        (
            [(0, CAT, 0.75, *HIT), (1, CAT, 0.25, *ALARM)],
            (0.25, 0.25),
        ),  # gaps of two bins do not cancel
        ([], None),
    ],
)
def test_the_interval_is_of_the_error_over_drawn_photos(rows, interval):
    truth = truths((0, CAT, *HIT), (1, CAT, *HIT))
    assert calibration(match(detections(*rows), truth)).interval == interval


def test_scores_too_high_and_too_low_cancel_in_the_excess_alone():
    calibrated = measured((0.75, HIT), (0.25, ALARM))
    assert calibrated.error == 0.25 and calibrated.excess == 0


@pytest.mark.parametrize("tenth", range(11))
def test_a_bin_holds_its_lower_edge_and_the_last_one_both(tenth):
    assert np.flatnonzero(measured((tenth / 10, HIT)).count) == [min(tenth, BINS - 1)]


def test_a_score_just_below_an_edge_is_in_the_bin_below():
    below = np.nextafter(np.float32(0.7), np.float32(0))
    assert np.flatnonzero(measured((below, HIT)).count) == [6]


def test_what_hits_a_difficult_truth_is_left_out():
    assert measured((0.9, HIT), truth=truths((0, CAT, *HIT), difficult=(0,))).count.sum() == 0


def test_nothing_to_measure_has_no_error():
    calibrated = measured()
    assert calibrated.error is None and calibrated.excess is None and not calibrated.count.any()


@pytest.mark.parametrize("seed", range(10))
def test_bins_add_up_to_the_detections_that_count_and_their_hits(seed):
    matches = match(*random_tables(seed))
    calibrated = calibration(matches)
    counts = ~matches.neutral(0.5)
    assert calibrated.count.sum() == counts.sum()
    assert np.nansum(calibrated.count * calibrated.hits) == pytest.approx(matches.hits(0.5).sum())
    assert np.nansum(calibrated.count * calibrated.score) == pytest.approx(
        matches.score[counts].sum(dtype=np.float64)
    )
    assert abs(calibrated.excess) <= calibrated.error + 1e-12 <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_order_of_rows_images_and_classes_changes_nothing(seed):
    dets, truth = random_tables(seed)
    expected = calibration(match(dets, truth))
    calibrated = calibration(match(reordered(dets, seed), reordered(truth, seed + 100)))
    np.testing.assert_array_equal(calibrated.count, expected.count)
    np.testing.assert_allclose(calibrated.hits, expected.hits)
    np.testing.assert_allclose(calibrated.score, expected.score)
