"""evaluate.metrics.average_precision: worked by hand, and weights against counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.loops import compiled
from evaluate.metrics.average_precision import average_precision, weighted_average_precision

RANKING = np.array([1, 0, 1, 1, 0, 0, 1], bool)  # hits at ranks 1, 3, 4 and 7


def test_the_example_of_the_docstring():
    # precision 1, 2/3, 3/4; envelope 1, 3/4, 3/4
    assert average_precision(np.array([1, 3, 4]), 3) == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)


def test_a_ranking_without_hits_has_ap_0():
    for points in (None, 11):
        assert average_precision(np.empty(0, int), 3, recall_points=points) == 0


def test_three_of_ten_reach_recall_three_tenths():
    assert average_precision(np.arange(1, 4), 10, recall_points=11) == pytest.approx(
        4 / 11
    )  # 0, .1, .2, .3


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_ap_is_from_zero_to_one_and_a_hit_further_up_never_hurts(hits, missed):
    positives = sum(hits) + missed or 1
    ap = average_precision(np.flatnonzero(hits) + 1, positives)
    assert 0 <= ap <= sum(hits) / positives
    for i in range(len(hits) - 1):
        if hits[i : i + 2] == [False, True]:
            better = [*hits[:i], True, False, *hits[i + 2 :]]
            assert average_precision(np.flatnonzero(better) + 1, positives) >= ap


def weighted(weights, *, truths, prefix_ends, eleven_point=False, call=weighted_average_precision):
    """weights (n, R) of the detections of RANKING; truths (R,)."""
    ranks = np.cumsum(weights, axis=0)[RANKING].astype(np.int32)
    return call(ranks, weights[RANKING], np.array(prefix_ends), np.array(truths), eleven_point)


@pytest.mark.parametrize("eleven_point", [False, True])
def test_with_weights_of_one_each_prefix_is_the_plain_ap(eleven_point):
    once = np.ones((len(RANKING), 2), np.int32)
    ap = weighted(once, truths=[4, 5], prefix_ends=[0, 0, 2, 4], eleven_point=eleven_point)
    ranks, points = np.flatnonzero(RANKING) + 1, 11 if eleven_point else None
    expected = [
        [average_precision(ranks[:end], truths, recall_points=points) for truths in (4, 5)]
        for end in (0, 0, 2, 4)
    ]
    np.testing.assert_allclose(ap, expected, rtol=1e-12)


@pytest.mark.parametrize("eleven_point", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_a_weight_counts_a_detection_so_many_times(seed, eleven_point):
    weights = np.random.default_rng(seed).integers(0, 4, (len(RANKING), 1), np.int32)
    truths = int(weights[RANKING].sum()) + 1
    # the copies of a hit are one step, with the precision after the last of them
    copies = weights[RANKING][:, 0]
    precision = np.cumsum(copies) / np.maximum(np.cumsum(weights)[RANKING], 1)
    envelope = np.maximum.accumulate(np.repeat(precision, copies)[::-1])[::-1]
    if eleven_point:
        wanted = [-(-k * truths // 10) or 1 for k in range(11)]
        expected = sum(envelope[n - 1] for n in wanted if n <= copies.sum()) / 11
    else:
        expected = envelope.sum() / truths
    ap = weighted(weights, truths=[truths], prefix_ends=[4], eleven_point=eleven_point)
    assert ap[0, 0] == pytest.approx(expected, rel=1e-12)


def test_without_truth_ap_is_0():
    nothing = np.zeros((len(RANKING), 1), np.int32)
    assert weighted(nothing, truths=[0], prefix_ends=[4]).tolist() == [[0]]


@pytest.mark.parametrize("eleven_point", [False, True])
def test_compiled_and_interpreted_give_the_same_bits(eleven_point):
    weights = np.random.default_rng(0).integers(0, 4, (len(RANKING), 9), np.int32)
    options = {
        "truths": weights[RANKING].sum(0) + 1,
        "prefix_ends": [1, 3, 4],
        "eleven_point": eleven_point,
    }
    fast = weighted(weights, **options, call=compiled(weighted_average_precision))
    assert fast.tobytes() == weighted(weights, **options).tobytes()
