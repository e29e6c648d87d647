"""The devkit and pycocotools on small tables that hypothesis makes up.

Ties, duplicates, boxes without area, empty tables.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from evaluate.metrics.coco import NAMES, coco_map
from evaluate.metrics.matching import match
from evaluate.metrics.voc import score_matches, voc_map
from tests.oracles import detections, devkit_ap, pycocotools_curves, reordered, truths

quick = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
edge = st.integers(0, 4).map(lambda n: 20 * n)  # box sides from 0 to 160: of all three sizes
box = st.tuples(edge, edge, edge, edge).map(
    lambda b: (min(b[::2]), min(b[1::2]), 2 * max(b[::2]), 2 * max(b[1::2]))
)
place = st.tuples(st.integers(0, 1), st.integers(0, 2))  # image, class
score_level = st.integers(0, 3).map(lambda n: n / 3)


@st.composite
def tables(draw):
    """Detections, some of which repeat a truth's box, and truths of which at least one counts."""
    annotated = draw(st.lists(st.tuples(place, box, st.booleans()), min_size=1, max_size=6))
    assume(not all(hard for _, _, hard in annotated))
    repeated = st.sampled_from([(where, xyxy) for where, xyxy, _ in annotated])
    predicted = draw(
        st.lists(st.tuples(st.one_of(repeated, st.tuples(place, box)), score_level), max_size=12)
    )
    truth = truths(
        *[(*where, *xyxy) for where, xyxy, _ in annotated],
        difficult=[row for row, (*_, hard) in enumerate(annotated) if hard],
    )
    return detections(*[(*where, level, *xyxy) for (where, xyxy), level in predicted]), truth


@given(tables(), st.sampled_from([0.3, 0.5, 0.75, 1.0]), st.booleans())
@quick
def test_voc_ap_is_the_devkits(drawn, iou_min, eleven_point):
    dets, truth = drawn
    fast = voc_map(dets, truth, iou_min=iou_min, eleven_point=eleven_point).ap
    slow = devkit_ap(dets, truth, iou_min=iou_min, eleven_point=eleven_point)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-12)


@given(tables())
@quick
def test_coco_ap_is_pycocotools_to_the_bit(drawn):
    dets, truth = drawn
    numbers = coco_map(dets, truth)
    assert [
        -1.0 if numbers[name] is None else numbers[name] for name in NAMES
    ] == pycocotools_curves(*drawn)[2].tolist()


@given(tables(), st.integers(0, 99))
@quick
def test_no_order_changes_a_bit_of_any_score(drawn, seed):
    dets, truth = drawn
    moved = reordered(dets, seed), reordered(truth, seed + 100)
    assert voc_map(*moved).per_class == voc_map(dets, truth).per_class
    assert voc_map(*moved).map == voc_map(dets, truth).map
    assert coco_map(*moved) == coco_map(dets, truth)


@given(tables())
@quick
def test_matching_once_serves_every_threshold(drawn):
    dets, truth = drawn
    matches = match(dets, truth)
    for iou_min in np.linspace(0.5, 0.95, 10):
        once = score_matches(matches, iou_min=iou_min)
        np.testing.assert_allclose(
            once.ap, devkit_ap(dets, truth, iou_min=iou_min), rtol=0, atol=1e-12
        )


def test_nothing_found_scores_zero_by_every_rule():
    truth = truths((0, 0, 0, 0, 50, 50), (1, 1, 0, 0, 20, 20))
    assert (
        voc_map(detections(), truth).map == voc_map(detections(), truth, eleven_point=True).map == 0
    )
    assert coco_map(detections(), truth)["AP"] == 0 == pycocotools_curves(detections(), truth)[2][0]
    assert voc_map(detections(), truth).per_class == coco_map(detections(), truth)["per_class"]


@pytest.mark.parametrize("recall", range(11))
def test_a_recall_level_is_reached_by_exactly_its_share_of_truths(recall):
    # 10 truths, `recall` hits, no false positive: precision 1 at recalls 0, 0.1 ... recall / 10
    truth = truths(*[(0, 0, 20 * i, 0, 20 * i + 10, 10) for i in range(10)])
    dets = detections(*[(0, 0, 0.5, 20 * i, 0, 20 * i + 10, 10) for i in range(recall)])
    assert voc_map(dets, truth, eleven_point=True).map == pytest.approx(
        (recall + 1 if recall else 0) / 11
    )
