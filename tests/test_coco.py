"""evaluate.metrics.coco: pycocotools to the bit, and cases worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.exceptions import InputError
from evaluate.metrics.coco import NAMES, coco_map, curves
from evaluate.metrics.voc import voc_map
from evaluate.tables import Detections
from tests.oracles import detections, pycocotools_curves, random_tables, reordered, truths

SQUARE = (0, 0, 0, 0, 100, 100)  # 10,000 pixels: large, above 96 * 96


def test_an_overlap_of_82_hundredths_passes_seven_of_ten_thresholds(capsys):
    # 0.50, 0.55 ... 0.80 are reached, 0.85, 0.90 and 0.95 are not
    score = coco_map(detections((0, 0, 0.9, 0, 0, 82, 100)), truths(SQUARE))
    for name in ("AP", "AP_large", "AR_1", "AR_100", "AR_large"):
        assert score[name] == pytest.approx(0.7)
    assert (score["AP50"], score["AP75"]) == (pytest.approx(1), pytest.approx(1))
    assert score["AP_small"] is score["AP_medium"] is score["AR_small"] is None
    assert score["per_class"] == {"cat": pytest.approx(0.7), "dog": None, "bird": None}
    assert capsys.readouterr().out == ""


def test_a_false_alarm_above_the_hit_halves_precision_and_one_below_costs_nothing():
    hit, above, below = (
        (0, 0, 0.5, 0, 0, 100, 100),
        (0, 0, 0.9, 200, 0, 300, 100),
        (0, 0, 0.1, 200, 0, 300, 100),
    )
    assert coco_map(detections(hit, above), truths(SQUARE))["AP"] == pytest.approx(0.5)
    assert coco_map(detections(hit, below), truths(SQUARE))["AP"] == pytest.approx(1)


def test_all_boxes_of_an_image_count():
    two = truths(SQUARE, (0, 0, 200, 0, 300, 100))
    score = coco_map(detections((0, 0, 0.9, 0, 0, 100, 100), (0, 0, 0.8, 200, 0, 300, 100)), two)
    assert score["AP"] == score["per_class"]["cat"] == pytest.approx(1)
    assert score["AR_1"] == pytest.approx(0.5)


def test_boxes_are_read_as_corners():
    moved = (0, 0, 200, 300, 240, 340)  # as xywh it would reach far beyond; 40 * 40 is medium
    score = coco_map(detections((0, 0, 0.9, 200, 300, 240, 340)), truths(moved))
    assert score["AP"] == score["AP_medium"] == pytest.approx(1)


def test_difficult_truths_are_neither_missed_nor_false_positives():
    hard = truths(SQUARE, (0, 0, 200, 0, 300, 100), difficult=(1,))
    hit, inside = (0, 0, 0.5, 0, 0, 100, 100), (0, 0, 0.9, 210, 0, 300, 100)
    assert coco_map(detections(hit), hard)["AP"] == pytest.approx(1)
    assert coco_map(detections(hit, inside), hard)["AP"] == pytest.approx(1)


def test_nothing_found_scores_zero_and_nothing_to_find_is_refused():
    assert coco_map(detections(), truths(SQUARE))["AP"] == 0
    with pytest.raises(InputError, match="no box that counts"):
        coco_map(detections(), truths())
    with pytest.raises(InputError, match="no box that counts"):
        coco_map(detections(), truths(SQUARE, difficult=(0,)))


def test_the_first_truth_and_the_first_detection_match():
    """COCOeval takes annotation id 0 for "no match"."""
    score = coco_map(detections((0, 0, 0.9, 0, 0, 100, 100)), truths(SQUARE))
    assert (score["AP"], score["AR_1"]) == (pytest.approx(1), pytest.approx(1))


def check_against_pycocotools(dets, truth):
    precision, recall = curves(dets, truth)
    wanted_precision, wanted_recall, wanted = pycocotools_curves(dets, truth)
    np.testing.assert_array_equal(precision, wanted_precision[..., -1])
    np.testing.assert_array_equal(recall, wanted_recall)
    score = coco_map(dets, truth)
    assert [-1.0 if score[name] is None else score[name] for name in NAMES] == wanted.tolist()
    assert score["AP"] == pytest.approx(
        np.mean([ap for ap in score["per_class"].values() if ap is not None])
    )


@pytest.mark.parametrize("scale", [1, 2.3, 7])  # mostly small, some medium, mostly large
@pytest.mark.parametrize("seed", range(10))
def test_every_number_is_that_of_pycocotools_to_the_bit(seed, scale):
    check_against_pycocotools(
        *(replace(table, xyxy=table.xyxy * np.float32(scale)) for table in random_tables(seed))
    )


@pytest.mark.parametrize(("false", "ap"), [(99, 0.01), (100, 0)])
def test_the_hundredth_box_of_a_class_in_an_image_counts_and_the_next_does_not(false, ap):
    false_positives = [(0, 0, 0.9, 200, 0, 300, 100)] * false
    assert coco_map(detections(*false_positives, (0, 0, 0.1, 0, 0, 100, 100)), truths(SQUARE))[
        "AP"
    ] == pytest.approx(ap)


def test_a_false_alarm_beyond_the_hundredth_of_its_image_is_none():
    # precision at the one hit, on another photo, is 1 / 101 however many more there are
    false_positives = [(0, 0, 0.9, 200, 0, 300, 100)] * 150
    assert (
        coco_map(
            detections(*false_positives, (1, 0, 0.1, 0, 0, 100, 100)), truths((1, *SQUARE[1:]))
        )["AP"]
        == 1 / 101
    )


@pytest.mark.parametrize("seed", range(2))
def test_of_many_boxes_of_a_class_in_an_image_the_best_hundred_count(seed):
    rng = np.random.default_rng(seed)
    _, truth = random_tables(seed, images=2)
    near = rng.integers(0, len(truth), 400)
    xyxy = truth.xyxy[near] + rng.normal(0, 1, (400, 4)) * [1, 1, 0, 0]
    xyxy = np.concatenate([xyxy[:, :2], np.maximum(xyxy[:, :2], xyxy[:, 2:])], axis=1)
    ids, classes = truth.image_ids, truth.classes
    dets = Detections(
        ids, classes, truth.image[near], truth.label[near], xyxy, rng.integers(0, 50, 400) / 50
    )
    assert np.bincount(dets.image * 3 + dets.label).max() > 150
    check_against_pycocotools(dets, truth)


@pytest.mark.parametrize("seed", range(4))
def test_order_of_rows_images_and_classes_never_changes_a_score(seed):
    dets, truth = random_tables(seed)
    expected = coco_map(dets, truth)
    assert coco_map(reordered(dets, seed), truth) == expected
    assert coco_map(reordered(dets, seed), reordered(truth, seed + 100)) == expected


def test_ap50_of_many_hits_is_near_vocs():
    """101 recalls against the whole area: equal but for the last step of each."""
    rows = [(0, 0, 1 - i / 1000, 20 * i, 0, 20 * i + (10 if i % 3 else 2), 10) for i in range(90)]
    truth = truths(*[(0, 0, 20 * i, 0, 20 * i + 10, 10) for i in range(90)])
    assert coco_map(detections(*rows), truth)["AP50"] == pytest.approx(
        voc_map(detections(*rows), truth).map, abs=0.01
    )
