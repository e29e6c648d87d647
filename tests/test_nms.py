"""evaluate.nms: cases worked by hand, a slow oracle, and the laws that a sweep rests on."""

import numpy as np
import pytest

from evaluate.boxes import iou
from evaluate.nms import nms
from evaluate.tables import Detections, InputError
from tests.oracles import detections, greedy_nms, random_tables

FULL = (0, 0, 0.9, 0, 0, 10, 10)
HALF = (0, 0, 0.8, 0, 0, 5, 10)  # its IoU with FULL is exactly 0.5


def test_an_overlap_of_exactly_the_limit_survives():
    assert len(nms(detections(FULL, HALF), 0.5)) == 2
    assert len(nms(detections(FULL, HALF), 0.49)) == 1


def test_a_dropped_box_drops_nothing():
    # A 0..10, B 4..14, C 8..18: IoU(A, B) = IoU(B, C) = 6/14 > 0.3, IoU(A, C) = 2/18. B goes, so C stays.
    a, b, c = ((0, 0, score, x, 0, x + 10, 10) for score, x in ((0.9, 0), (0.8, 4), (0.7, 8)))
    assert nms(detections(c, b, a), 0.3).xyxy[:, 0].tolist() == [0, 8]


def test_other_classes_and_other_images_are_left_alone():
    assert len(nms(detections(FULL, (0, 1, 0.8, 0, 0, 10, 10), (1, 0, 0.8, 0, 0, 10, 10)), 0.5)) == 3


def test_rows_come_back_by_image_best_first_and_caps_count_all_classes_of_an_image():
    rows = [
        (image, label, score, 20 * label, 0, 20 * label + 5, 5)
        for image in (1, 0)
        for label, score in enumerate((0.1, 0.9, 0.5))
    ]
    kept = nms(detections(*rows), 0.5, keep_max=2)
    assert kept.image.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(kept.score, [0.9, 0.5, 0.9, 0.5])


def test_boxes_over_the_first_cap_suppress_nothing_and_over_the_second_are_dropped_late():
    far = (0, 0, 0.7, 50, 50, 60, 60)
    twin = (0, 0, 0.85, 0, 0, 10, 10)
    assert nms(detections(FULL, twin, far), 0.5, candidates_max=2).score.tolist() == [np.float32(0.9)]
    assert len(nms(detections(FULL, twin, far), 0.5, keep_max=2)) == 2


def test_equal_scores_go_in_table_order():
    one, other = (0, 0, 0.5, 0, 0, 10, 10), (0, 0, 0.5, 1, 0, 10, 10)
    assert nms(detections(one, other), 0.5).xyxy[0, 0] == 0
    assert nms(detections(other, one), 0.5).xyxy[0, 0] == 1


def test_far_corners_do_not_round_the_overlap():
    """With a class offset of 4096 in float32 the 1/64 pixels here are lost, and the twin survives or not by label."""
    box, twin = (0, 2, 0.9, 4000, 4000, 4001, 4001), (0, 2, 0.8, 4000, 4000, 4000 + 33 / 64, 4001)
    assert len(nms(detections(box, twin), 0.5)) == 1
    assert len(nms(detections(box, twin), 33 / 64)) == 2


@pytest.mark.parametrize("seed", range(20))
def test_the_limit_is_met_to_the_last_bit(seed):
    low, size = np.random.default_rng(seed).random((2, 2, 2))
    pair = np.concatenate([low, low + 2 * size + 1], axis=1) * 300  # two boxes that overlap
    dets = detections((0, 0, 0.9, *pair[0]), (0, 0, 0.8, *pair[1]))
    overlap = iou(dets.xyxy[:1], dets.xyxy[1:]).item()
    assert len(nms(dets, overlap)) == 2
    assert len(nms(dets, np.nextafter(overlap, 0))) == 1


def test_boxes_without_area_survive():
    assert len(nms(detections(*[(0, 0, 0.5, 3, 3, 3, 9)] * 2), 0.0)) == 2


def test_nothing_in_nothing_out():
    assert len(nms(detections(), 0.5)) == 0
    assert len(nms(Detections((), (), [], [], np.empty((0, 4)), []), 0.5)) == 0


@pytest.mark.parametrize("iou_max", [-0.1, 1.1, float("nan"), 45])
def test_a_limit_that_is_no_overlap_is_refused(iou_max):
    with pytest.raises(InputError, match="iou_max is .*, want 0 to 1"):
        nms(detections(FULL), iou_max)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("iou_max", [0.0, 0.3, 0.5, 1.0])
def test_agrees_with_the_slow_oracle(seed, iou_max):
    dets, _ = random_tables(seed)
    for caps in ({"candidates_max": 3000, "keep_max": 3000}, {"candidates_max": 12, "keep_max": 5}):
        rows = sum(greedy_nms(dets, iou_max, **caps), [])
        kept = nms(dets, iou_max, **caps)
        for column in ("image", "label", "xyxy", "score"):
            np.testing.assert_array_equal(getattr(kept, column), getattr(dets, column)[rows])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("caps", [{}, {"candidates_max": 12, "keep_max": 5}])
def test_commutes_with_a_confidence_threshold(seed, caps):
    dets, _ = random_tables(seed)
    kept = nms(dets, 0.4, **caps)
    for conf in (0.8, 0.5, 0.2, 0.0):
        late = kept.take(kept.score >= conf)
        early = nms(dets.take(dets.score >= conf), 0.4, **caps)
        for column in ("image", "label", "xyxy", "score"):
            np.testing.assert_array_equal(getattr(late, column), getattr(early, column))


@pytest.mark.parametrize("seed", range(3))
def test_a_second_time_changes_nothing_and_a_limit_of_one_drops_nothing(seed):
    dets, _ = random_tables(seed)
    once = nms(dets, 0.4)
    assert len(nms(once, 0.4)) == len(once) < len(dets) == len(nms(dets, 1.0))
