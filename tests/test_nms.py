"""evaluate.nms: cases worked by hand, a slow oracle, and the laws that a sweep rests on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.boxes import iou
from evaluate.exceptions import InputError
from evaluate.nms import nms, survivor_masks
from evaluate.nms_kernel import LANES
from evaluate.tables import Detections
from tests.oracles import crowd, detections, greedy_nms, random_tables

FULL = (0, 0, 0.9, 0, 0, 10, 10)
HALF = (0, 0, 0.8, 0, 0, 5, 10)  # its IoU with FULL is exactly 0.5


def test_an_overlap_of_exactly_the_limit_survives():
    assert len(nms(detections(FULL, HALF), 0.5)) == 2
    assert len(nms(detections(FULL, HALF), 0.49)) == 1


def test_a_dropped_box_drops_nothing():
    # A 0..10, B 4..14, C 8..18: IoU(A, B) = IoU(B, C) = 6/14 > 0.3, IoU(A, C) = 2/18
    # B goes, so C stays
    a, b, c = ((0, 0, score, x, 0, x + 10, 10) for score, x in ((0.9, 0), (0.8, 4), (0.7, 8)))
    assert nms(detections(c, b, a), 0.3).xyxy[:, 0].tolist() == [0, 8]


def test_other_classes_and_other_images_are_left_alone():
    assert (
        len(nms(detections(FULL, (0, 1, 0.8, 0, 0, 10, 10), (1, 0, 0.8, 0, 0, 10, 10)), 0.5)) == 3
    )


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
    assert nms(detections(FULL, twin, far), 0.5, candidates_max=2).score.tolist() == [
        np.float32(0.9)
    ]
    assert len(nms(detections(FULL, twin, far), 0.5, keep_max=2)) == 2


def test_equal_scores_go_in_table_order():
    one, other = (0, 0, 0.5, 0, 0, 10, 10), (0, 0, 0.5, 1, 0, 10, 10)
    assert nms(detections(one, other), 0.5).xyxy[0, 0] == 0
    assert nms(detections(other, one), 0.5).xyxy[0, 0] == 1


def test_far_corners_do_not_round_the_overlap():
    """A class offset of 4096 in float32 would lose these 1/64 pixels: the label would decide."""
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


def same(table, other):
    for column in ("image", "label", "xyxy", "score"):
        np.testing.assert_array_equal(getattr(table, column), getattr(other, column))


def survivors_at(dets, thresholds, t, **caps):
    """What `survivor_masks` says of limit t, as a table."""
    blocks = list(survivor_masks(dets, np.tile(thresholds, (len(dets.classes), 1)), **caps))
    rows = [rows[alive >> np.uint64(t) & np.uint64(1) > 0] for rows, alive in blocks]
    return dets.take(np.concatenate([np.empty(0, int), *rows]))


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_of_more_boxes_than_are_compared_at_once_agrees_with_the_slow_oracle(seed):
    dets = crowd(seed)
    (rows,) = greedy_nms(dets, 0.4, candidates_max=3000, keep_max=3000)[:1]
    assert len(rows) > 2 * LANES
    same(nms(dets, 0.4), dets.take(np.array(rows)))


def test_the_masks_of_the_example_in_the_docstring():
    # boxes of 10 x 10, each 2.5 to the right of the one before: IoU 7.5/12.5 = 0.6, A and C 5/15
    abc = detections(*[(0, 0, 0.9 - n / 10, 2.5 * n, 0, 2.5 * n + 10, 10) for n in range(3)])
    ((rows, alive),) = survivor_masks(abc, np.tile([0.4, 0.5, 0.7], (3, 1)))
    assert rows.tolist() == [0, 1, 2] and alive.tolist() == [0b111, 0b100, 0b111]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    thresholds=st.lists(
        st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1 / 3, 0.5, 1.0])), min_size=1, max_size=64
    ),
    candidates_max=st.sampled_from([3000, 40, 3, 0]),
    keep_max=st.sampled_from([3000, 5, 0]),
    data=st.data(),
)
def test_every_bit_is_a_pass_of_its_own(seed, thresholds, candidates_max, keep_max, data):
    dets = random_tables(seed)[0] if seed % 2 else crowd(seed)
    thresholds = sorted(thresholds)
    t = data.draw(st.integers(0, len(thresholds) - 1))
    caps = {"candidates_max": candidates_max, "keep_max": keep_max}
    same(survivors_at(dets, thresholds, t, **caps), nms(dets, thresholds[t], **caps))


def test_the_last_of_64_thresholds_has_its_bit_and_a_65th_is_refused():
    thresholds = np.linspace(0.01, 0.64, 64)
    assert len(survivors_at(detections(FULL, HALF), thresholds, 63)) == 2
    assert len(survivors_at(detections(FULL, HALF), thresholds, 0)) == 1
    with pytest.raises(InputError, match="want at most 64 IoU thresholds at once, there are 65"):
        survivors_at(detections(FULL), np.linspace(0, 1, 65), 0)


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_blocks_of_images_change_nothing(rows, monkeypatch):
    dets, _ = random_tables(1)
    whole, sorted_table = nms(dets, 0.4), dets.take(np.argsort(dets.image, kind="stable"))
    monkeypatch.setattr("evaluate.nms.BLOCK", rows)
    same(nms(dets, 0.4), whole)
    same(nms(sorted_table, 0.4), whole)


def test_more_images_than_a_block_may_number_are_several_blocks():
    n = 9000  # a block numbers its images in 12 bits
    ids = tuple(map(str, range(n)))
    image = np.append(np.arange(n)[::-1], [n - 1, 4096, 4095])
    score = np.append(np.full(n, 0.5), [0.0, 1.0, 0.25])
    dets = Detections(
        ids, ("dog",), image, np.zeros(n + 3), np.tile([0, 0, 1, 1], (n + 3, 1)), score
    )
    assert [len(rows) for rows, _ in survivor_masks(dets, np.array([[1.0]]))] == [4097, 4097, 809]
    kept = nms(dets, 1.0)
    assert kept.image.tolist() == sorted(image.tolist())
    assert kept.score[[4095, 4096, 4097, 4098, -1]].tolist() == [0.5, 0.25, 1.0, 0.5, 0.0]


def test_each_class_has_thresholds_of_its_own():
    rows = [(0, label, *box[2:]) for label in (0, 1) for box in (FULL, HALF)]
    kept = nms(detections(*rows), np.array([0.4, 0.6, 0.4]), conf_min=np.array([0.0, 0.85, 0.0]))
    assert sorted(zip(kept.label.tolist(), kept.score.tolist())) == [
        (0, np.float32(0.9)),
        (1, np.float32(0.9)),
    ]
    kept = nms(detections(*rows), np.array([0.4, 0.6, 0.4]), conf_min=np.array([0.0, 0.8, 0.95]))
    assert sorted(kept.label.tolist()) == [0, 1, 1]


@pytest.mark.parametrize("seed", range(10))
def test_thresholds_by_class_are_those_of_each_class_alone(seed):
    dets, _ = random_tables(seed)
    thresholds, confs = np.array([0.2, 0.5, 0.8]), np.array([0.5, 0.0, 0.25])
    kept = nms(dets, thresholds, conf_min=confs)
    for c in range(3):
        same(
            kept.take(kept.label == c),
            nms(dets.take(dets.label == c), thresholds[c], conf_min=confs[c]),
        )


def test_a_box_that_its_class_drops_has_entered_but_takes_up_no_room():
    far = (0, 1, 0.95, 50, 50, 60, 60)
    kept = nms(detections(far, FULL), 0.5, conf_min=np.array([0, 1, 0]), keep_max=1)
    assert kept.label.tolist() == [0]
    assert len(nms(detections(far, FULL), 0.5, conf_min=np.array([0, 1, 0]), candidates_max=1)) == 0


def test_a_score_of_minus_zero_ranks_with_zero():
    dets = detections((0, 0, 0.0, 0, 0, 10, 10), (0, 0, 0.0, 1, 0, 10, 10))
    dets = replace(dets, score=np.array([-0.0, 0.0], np.float32))
    assert nms(dets, 0.5).xyxy[:, 0].tolist() == [0]


@pytest.mark.parametrize("seed", range(20))
def test_among_several_thresholds_each_is_met_to_the_last_bit(seed):
    low, size = np.random.default_rng(seed).random((2, 2, 2))
    pair = np.concatenate([low, low + 2 * size + 1], axis=1) * 300
    dets = detections((0, 0, 0.9, *pair[0]), (0, 0, 0.8, *pair[1]))
    overlap = iou(dets.xyxy[:1], dets.xyxy[1:]).item()
    thresholds = [overlap / 2, np.nextafter(overlap, 0), overlap, np.nextafter(overlap, 1)]
    assert [len(survivors_at(dets, thresholds, t)) for t in range(4)] == [1, 1, 2, 2]
