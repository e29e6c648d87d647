"""evaluate.metrics.voc: cases worked by hand, the devkit in exact fractions, then laws."""

import numpy as np
import pytest

from evaluate.exceptions import InputError
from evaluate.metrics.voc import Score, precision_recall, voc_map
from evaluate.tables import Detections
from tests.oracles import detections, devkit_ap, random_tables, reordered, truths

TRUTH = truths((0, 0, 0, 0, 10, 10), (0, 0, 50, 50, 60, 60))
FIRST, DUPLICATE, SECOND = (
    (0, 0, 0.9, 0, 0, 10, 10),
    (0, 0, 0.8, 0, 0, 10, 9),
    (0, 0, 0.7, 50, 50, 60, 60),
)


def as_detections(truth, rng):
    return Detections(
        truth.image_ids, truth.classes, truth.image, truth.label, truth.xyxy, rng.random(len(truth))
    )


def test_a_second_box_on_one_truth_is_a_false_positive():
    # ranks: hit, duplicate, hit. precision 1, 1/2, 2/3; AP = (1 + 2/3) / 2
    score = voc_map(detections(FIRST, DUPLICATE, SECOND), TRUTH)
    assert score.map == pytest.approx(5 / 6)
    assert score.positives.tolist() == [2, 0, 0] and score.detections.tolist() == [3, 0, 0]
    assert score.per_class == {"cat": score.map, "dog": None, "bird": None}


def test_precision_is_the_best_at_any_higher_recall():
    # ranks: false positive, hit, hit. precision 0, 1/2, 2/3; its envelope 2/3 at both recalls
    assert voc_map(
        detections((0, 0, 1, 90, 90, 99, 99), FIRST, SECOND), TRUTH
    ).map == pytest.approx(2 / 3)


def test_eleven_points_are_means_over_recalls():
    # recall reaches 0.5 with precision 1 and stops: 6 of 11 recalls (0 ... 0.5) have precision 1
    assert voc_map(detections(FIRST), TRUTH, eleven_point=True).map == pytest.approx(6 / 11)
    assert voc_map(detections(FIRST), TRUTH).map == 0.5


@pytest.mark.parametrize(
    ("x2", "ap"), [(5.0, 0.5), (np.nextafter(np.float32(5), np.float32(0)), 0.0)]
)
def test_an_overlap_of_exactly_the_threshold_counts(x2, ap):
    assert voc_map(detections((0, 0, 0.9, 0, 0, x2, 10)), TRUTH).map == ap


def test_touching_boxes_do_not_match():
    assert voc_map(detections((0, 0, 0.9, 10, 10, 20, 20)), TRUTH, iou_min=0.01).map == 0


def test_difficult_truth_counts_as_nothing():
    hard = truths((0, 0, 0, 0, 10, 10), (0, 0, 50, 50, 60, 60), difficult=(0,))
    assert voc_map(detections(FIRST, DUPLICATE, SECOND), hard).map == 1
    assert voc_map(detections(SECOND), hard).map == 1


def test_a_class_without_truth_is_left_out_and_one_without_detections_is_zero():
    score = voc_map(
        detections(FIRST, SECOND, (0, 2, 0.9, 0, 0, 5, 5)),
        truths((0, 0, 0, 0, 10, 10), (1, 1, 0, 0, 5, 5)),
    )
    np.testing.assert_array_equal(score.ap, [1, 0, np.nan])
    assert score.map == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_order_of_classes_never_changes_the_mean(seed):
    rng = np.random.default_rng(seed)
    ap = np.append(rng.random(20), np.nan)
    means = {Score((), ap[rng.permutation(21)], ap, ap).map for _ in range(20)}
    assert means == {Score((), ap, ap, ap).map} and means.pop() == pytest.approx(
        np.nanmean(ap), abs=1e-15
    )


def test_an_empty_submission_scores_zero():
    assert voc_map(detections(), TRUTH).map == 0
    assert voc_map(detections(), TRUTH, eleven_point=True).map == 0


@pytest.mark.parametrize("truth", [truths(), truths((0, 0, 0, 0, 1, 1), difficult=(0,))])
def test_a_truth_that_nothing_counts_in_is_refused(truth):
    with pytest.raises(InputError, match="no box that counts"):
        voc_map(detections(FIRST), truth)


@pytest.mark.parametrize("iou_min", [0, -1, 1.1, 50, float("nan")])
def test_a_threshold_that_is_no_overlap_is_refused(iou_min):
    with pytest.raises(InputError, match="iou_min is .*, want above 0 and at most 1"):
        voc_map(detections(FIRST), TRUTH, iou_min=iou_min)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("iou_min", [0.1, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("eleven_point", [False, True])
def test_agrees_with_the_devkit_in_exact_fractions(seed, iou_min, eleven_point):
    dets, truth = random_tables(seed)
    fast = voc_map(dets, truth, iou_min=iou_min, eleven_point=eleven_point).ap
    slow = devkit_ap(dets, truth, iou_min=iou_min, eleven_point=eleven_point)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_order_of_rows_images_and_classes_never_changes_a_score(seed):
    dets, truth = random_tables(seed)
    expected = voc_map(dets, truth).per_class
    assert voc_map(reordered(dets, seed), truth).per_class == expected
    assert voc_map(reordered(dets, seed), reordered(truth, seed + 100)).per_class == expected


@pytest.mark.parametrize("seed", range(5))
def test_the_answers_score_one_and_scoring_twice_is_the_same(seed):
    _, truth = random_tables(seed)
    _, keep = np.unique(
        np.column_stack([truth.image, truth.label, truth.xyxy]), axis=0, return_index=True
    )
    area = (truth.xyxy[:, 2:] - truth.xyxy[:, :2]).prod(1)
    truth = truth.take(
        keep[area[keep] > 0]
    )  # a truth without area, or there twice, cannot be found
    dets = as_detections(truth, np.random.default_rng(seed))
    assert voc_map(dets, truth, iou_min=1).map == 1 == voc_map(dets, truth, eleven_point=True).map
    assert voc_map(dets, truth).ap.tobytes() == voc_map(dets, truth).ap.tobytes()


@pytest.mark.parametrize("seed", range(20))
def test_lower_confidence_never_hurts(seed):
    dets, truth = random_tables(seed)
    by_conf = [voc_map(dets.take(dets.score >= conf), truth).map for conf in (0.9, 0.6, 0.3, 0)]
    assert by_conf == sorted(by_conf)


def test_only_the_order_of_scores_counts():
    dets, truth = random_tables(3)
    squared = Detections(
        dets.image_ids, dets.classes, dets.image, dets.label, dets.xyxy, dets.score**2
    )
    assert voc_map(squared, truth).per_class == voc_map(dets, truth).per_class


def test_a_curve_has_a_point_for_each_detection_that_counts():
    curve = precision_recall(detections(FIRST, DUPLICATE, SECOND), TRUTH)
    assert list(curve) == ["cat"]
    np.testing.assert_allclose(curve["cat"].score, [0.9, 0.8, 0.7])
    np.testing.assert_allclose(curve["cat"].recall, [1 / 2, 1 / 2, 1])
    np.testing.assert_allclose(curve["cat"].precision, [1, 1 / 2, 2 / 3])
    hard = truths((0, 0, 0, 0, 10, 10), (0, 0, 50, 50, 60, 60), difficult=(0,))
    np.testing.assert_allclose(
        precision_recall(detections(FIRST, DUPLICATE, SECOND), hard)["cat"].precision, [1]
    )
