"""evaluate.ensemble.wbf: the package's numbers to the bit, and scores worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.ensemble.fuse import fuse_tables
from evaluate.ensemble.pool import pool, rank_pool, weight_matrix
from evaluate.ensemble.rule import CONF_TYPES, FusionRule
from evaluate.ensemble.wbf import wbf
from evaluate.tables import Detections
from tests.oracles import detections

package = pytest.importorskip("ensemble_boxes")

FULL, LOW, FAR = (0, 0, 10, 10), (0, 0, 10, 8), (30, 30, 40, 40)  # IoU(FULL, LOW) = 0.8


def random_models(rng):
    """One to five tables of one image: crowded boxes in 0..1, no two scores alike."""
    tables = []
    spots = rng.random((6, 2))
    for _ in range(rng.integers(1, 6)):
        n = int(rng.integers(0, 40))
        middle = spots[rng.integers(0, 6, n)] + rng.normal(0, 0.02, (n, 2))
        half = rng.random((n, 2)) * 0.05 + 0.07
        xyxy = np.clip(np.concatenate([middle - half, middle + half], axis=1), 0, 1)
        score = rng.random(n) * 0.99 + 0.005
        tables.append(
            Detections(
                ("a",), ("cat", "dog", "bird"), np.zeros(n), rng.integers(0, 3, n), xyxy, score
            )
        )
    return tables


def rule_and_weights(rng, tables):
    rule = FusionRule(
        iou=float(rng.choice([0.0, 0.3, 0.5, 0.55, 0.7])),
        conf_type=CONF_TYPES[rng.integers(0, 4)],
        skip_below=float(rng.choice([0, 0.1, 0.3])),
        members_iou=1.0,
    )
    return rule, rng.random(len(tables)) * 3 + 0.1 if rng.random() < 0.7 else None


def rows(label, score, xyxy):
    return sorted(zip(label.astype(int).tolist(), score.tolist(), map(tuple, xyxy.tolist())))


def in_float64(tables, rule, weights):
    """What `fuse` does for WBF, up to the rounding of the scores."""
    pooled = pool(tables, range(len(tables)), rule.skip_below)
    weight = weight_matrix(weights, len(tables), 3)
    pooled = replace(pooled, score=pooled.score * weight[pooled.model, pooled.label])
    order, edges = rank_pool(pooled)
    pooled = pooled.take(order)
    columns = pooled.xyxy, pooled.score, pooled.model, pooled.label
    xyxy, score, count, _ = wbf(*columns, edges, weight, rule.iou, rule.conf_type)
    filled = np.concatenate([np.arange(a, a + n) for a, n in zip(edges, count)] or [[]]).astype(int)
    return rows(pooled.label[filled], score[filled], xyxy[filled])


@pytest.mark.parametrize(
    "seeds", [range(200), pytest.param(range(200, 2500), marks=pytest.mark.slow)]
)
def test_equals_the_package_to_the_bit(seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        tables = random_models(rng)
        rule, weights = rule_and_weights(rng, tables)
        given = [
            [getattr(t, column).copy() for t in tables] for column in ("xyxy", "score", "label")
        ]
        options = {
            "iou_thr": rule.iou,
            "skip_box_thr": rule.skip_below,
            "conf_type": rule.conf_type,
        }
        xyxy, score, label = package.weighted_boxes_fusion(*given, weights=weights, **options)
        score = np.minimum(
            score, 1
        )  # avg and several boxes of one heavy model: the package's go above
        assert in_float64(tables, rule, weights) == rows(label, score, xyxy), seed
        dets = fuse_tables(tables, rule, weights=weights).dets
        single = rows(label, score.astype(np.float32), xyxy.astype(np.float32))
        assert rows(dets.label, dets.score, dets.xyxy) == single, seed


def test_nmw_equals_the_package_but_for_its_rounding():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        tables = random_models(rng)
        rule, weights = rule_and_weights(rng, tables)
        rule = replace(rule, method="nmw")
        given = [
            [getattr(t, column).copy() for t in tables] for column in ("xyxy", "score", "label")
        ]
        options = {"iou_thr": rule.iou, "skip_box_thr": rule.skip_below}
        xyxy, score, label = package.non_maximum_weighted(*given, weights=weights, **options)
        dets = fuse_tables(tables, rule, weights=weights).dets
        theirs, ours = rows(label, score, xyxy), rows(dets.label, dets.score, dets.xyxy)
        assert [row[0] for row in ours] == [row[0] for row in theirs]
        for column in (1, 2):
            np.testing.assert_allclose(
                [r[column] for r in ours], [r[column] for r in theirs], rtol=0, atol=2e-6
            )


def test_a_box_of_two_is_their_mean_by_score():
    # y2 = (0.8 * 10 + 0.4 * 8) / 1.2 = 9.333, score (0.8 + 0.4) / 2;
    # FAR has one of two models: 0.6 * 1 / 2
    fused = fuse_tables(
        [detections((0, 0, 0.8, *FULL)), detections((0, 0, 0.4, *LOW), (0, 0, 0.6, *FAR))],
        FusionRule(),
    ).dets
    np.testing.assert_allclose(fused.xyxy, [[0, 0, 10, 28 / 3], FAR], rtol=1e-6)
    np.testing.assert_allclose(fused.score, [0.6, 0.3], rtol=1e-6)


@pytest.mark.parametrize(
    ("conf_type", "shared", "twice", "alone"),
    [
        # shared: weighted 2.4 and 0.4, mean 1.4; twice: 2.4 and 1.2 of the first model, mean 1.8;
        # alone: 0.6
        ("avg", 1.4 * 2 / 4, 1.8 * 2 / 4, 0.6 * 1 / 4),
        ("max", 2.4 / 3, 2.4 / 3, 0.6 / 3),
        ("box_and_model_avg", 1.4 * 2 / 4 * 4 / 4, 1.8 * 2 / 6 * 3 / 4, 0.6 * 1 / 1 * 1 / 4),
        ("absent_model_aware_avg", 1.4 * 2 / 4, 1.8 * 2 / (6 + 1), 0.6 / (1 + 3)),
    ],
)
def test_scores_worked_by_hand(conf_type, shared, twice, alone):
    # image a holds both cases of the first model, of weight 3, as classes 0 and 1; class 2 is
    # of the second model alone
    heavy = detections((0, 0, 0.8, *FULL), (0, 1, 0.8, *FULL), (0, 1, 0.4, *LOW))
    light = detections((0, 0, 0.4, *LOW), (0, 2, 0.6, *FAR))
    fused = fuse_tables(
        [heavy, light], FusionRule(conf_type=conf_type, members_iou=1), weights=[3, 1]
    ).dets
    np.testing.assert_allclose(
        fused.score[np.argsort(fused.label)], [shared, twice, alone], rtol=1e-6
    )


def test_several_boxes_of_one_heavy_model_score_1_at_most():
    # avg: (4.5 + 4) / 2 * 2 / 5.1 = 1.67 in the package
    two = detections((0, 0, 0.9, *FULL), (0, 0, 0.8, *LOW))
    assert fuse_tables(
        [two, detections()], FusionRule(members_iou=1), weights=[5, 0.1]
    ).dets.score.tolist() == [1]


def test_a_row_joins_the_box_it_overlaps_most_and_an_overlap_of_exactly_the_limit_does_not_join():
    # IoU with 0..10 is 8/10, with 0..6 it is 6/8; then 0..5 against 0..10 alone is exactly 0.5
    near = detections((0, 0, 0.9, *FULL), (0, 0, 0.8, 0, 0, 10, 6), (0, 0, 0.1, *LOW))
    assert fuse_tables([near], FusionRule(iou=0.7, members_iou=1)).dets.xyxy[
        :, 3
    ].tolist() == pytest.approx([6, 9.8])
    half = detections((0, 0, 0.9, *FULL), (0, 0, 0.8, 0, 0, 10, 5))
    assert len(fuse_tables([half], FusionRule(iou=0.5, members_iou=1)).dets) == 2
    assert len(fuse_tables([half], FusionRule(iou=0.49, members_iou=1)).dets) == 1


def test_nmw_keeps_the_best_score_and_weighs_by_overlap():
    # weights 0.8 * 1 and 0.4 * 0.8: y2 = (8 + 2.56) / 1.12 = 9.4286
    fused = fuse_tables(
        [detections((0, 0, 0.8, *FULL)), detections((0, 0, 0.4, *LOW))], FusionRule("nmw")
    ).dets
    np.testing.assert_allclose(fused.xyxy, [[0, 0, 10, 10.56 / 1.12]], rtol=1e-6)
    np.testing.assert_allclose(fused.score, [0.8], rtol=1e-6)


@pytest.mark.parametrize("method", ["wbf", "nmw"])
def test_boxes_without_area_stay_alone(method):
    flat = detections(*[(0, 0, 0.5, 3, 3, 3, 9)] * 2, (0, 0, 0.9, *FULL))
    assert len(fuse_tables([flat], FusionRule(method, members_iou=1)).dets) == 3
