"""evaluate.ensemble.fuse: laws of every method, what went into a box, and what is refused."""

from dataclasses import replace

import numba
import numpy as np
import pytest

from evaluate.boxes import iou_rowwise
from evaluate.ensemble.fuse import fuse_tables
from evaluate.ensemble.pool import by_images, pool
from evaluate.ensemble.rule import FusionRule
from evaluate.exceptions import InputError
from evaluate.nms import nms
from evaluate.tables import Detections
from tests.oracles import detections, random_tables, reordered

RULES = [
    FusionRule("wbf"),
    FusionRule("wbf", members_iou=1),
    FusionRule("wbf", conf_type="box_and_model_avg", members_iou=1),
    FusionRule("nmw", iou=0.3),
    FusionRule("nms", members_iou=0.7),
    FusionRule("soft-nms", iou=0.3),
    FusionRule("soft-nms", decay="gaussian", sigma=0.1),
]
ids = [f"{rule.method}-{rule.first_iou}-{rule.conf_type}-{rule.decay}" for rule in RULES]
COLUMNS = ("image", "label", "score", "xyxy")
BOX, NEAR, FAR = (0, 0, 10, 10), (0, 0, 10, 9), (30, 30, 40, 40)


def tables(seed, count=3, *, ties=True):
    """Tables over the same images and classes: equal scores, repeated boxes, boxes without area."""
    rng = np.random.default_rng(seed)
    parts = [random_tables(seed + 100 * k)[0] for k in range(count)]
    scores = [
        t.score if ties else rng.permutation(len(t)) / len(t) * 0.9 + 0.01 * (k + 1)
        for k, t in enumerate(parts)
    ]
    return [
        replace(t, image_ids=parts[0].image_ids, score=np.maximum(s, 0.01))
        for t, s in zip(parts, scores)
    ]


def content(dets):
    names = [(dets.image_ids[i], dets.classes[c]) for i, c in zip(dets.image, dets.label)]
    return sorted(zip(names, dets.score.tolist(), map(tuple, dets.xyxy.tolist())))


def assert_same(one, other):
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))


def members(fused):
    return sorted(zip(fused.model.tolist(), fused.row.tolist(), fused.into.tolist()))


@pytest.mark.parametrize("rule", RULES, ids=ids)
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_changes_nothing_and_that_of_images_and_classes_only_the_order(
    rule, seed
):
    given = tables(seed)
    fused = fuse_tables(given, rule, weights=[2, 1, 1]).dets
    rng = np.random.default_rng(seed)
    assert_same(
        fuse_tables([t.take(rng.permutation(len(t))) for t in given], rule, weights=[2, 1, 1]).dets,
        fused,
    )
    other = fuse_tables(
        [reordered(t, seed + k) for k, t in enumerate(given)], rule, weights=[2, 1, 1]
    ).dets
    assert content(other) == content(fused)


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_rows_come_back_by_image_best_first_with_scores_from_0_to_1(rule):
    fused = fuse_tables(tables(0), rule, weights=[0.1, 7, 3]).dets
    assert 0 < fused.score.min() and fused.score.max() <= 1 and len(fused)
    assert (np.diff(fused.image) >= 0).all()
    assert (np.diff(fused.score)[np.diff(fused.image) == 0] <= 0).all()


@pytest.mark.parametrize("rule", RULES, ids=ids)
@pytest.mark.parametrize("rows", [1, 30])
def test_blocks_of_images_on_any_number_of_threads_change_nothing(rule, rows, monkeypatch):
    given, weights = tables(3), [[2, 0, 1], [1, 0, 1], [0, 0, 3]]
    whole = fuse_tables(given, rule, weights=weights)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 3)
    monkeypatch.setattr("evaluate.ensemble.pool.BLOCK", rows)
    blocks = fuse_tables(given, rule, weights=weights)
    assert_same(blocks.dets, whole.dets)
    assert members(blocks) == members(whole)


def test_blocks_are_whole_images_and_no_larger_than_they_may_be(monkeypatch):
    rows = pool(tables(3), ("a", "b", "c"), 0)
    assert by_images(len, rows) == [len(rows)]
    monkeypatch.setattr("evaluate.ensemble.pool.BLOCK", 90)
    images = by_images(lambda block: set(block.image.tolist()), rows)
    assert len(images) > 1 and sorted(sum(map(list, images), [])) == sorted(
        set(rows.image.tolist())
    )
    assert max(by_images(len, rows)) <= 90 and sum(by_images(len, rows)) == len(rows)


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_images_and_classes_are_fused_apart(rule):
    given = tables(3)
    whole = fuse_tables(given, rule)
    parts = []
    for image in range(len(given[0].image_ids)):
        for label in range(len(given[0].classes)):
            alone = [t.take((t.image == image) & (t.label == label)) for t in given]
            parts += content(fuse_tables(alone, rule).dets)
    assert sorted(parts) == content(whole.dets)


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_a_table_of_weight_0_is_not_there_and_weights_count_against_each_other(rule):
    a, b, c = tables(1)
    without = fuse_tables([a, c], rule, weights=[1, 2])
    fused = fuse_tables([a, b, c], rule, weights=[1, 0, 2])
    assert_same(fused.dets, without.dets)
    np.testing.assert_array_equal(fused.model, 2 * without.model)
    np.testing.assert_array_equal(fused.row, without.row)
    assert_same(fuse_tables([a, c], rule, weights=[4, 8]).dets, without.dets)


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_weights_by_class_are_those_of_each_class_alone(rule):
    given = tables(2, 2)
    weights = np.array([[1, 2, 0.5], [1, 0, 3]])
    fused = fuse_tables(given, rule, weights=weights).dets
    for c in range(3):
        alone = fuse_tables([t.take(t.label == c) for t in given], rule, weights=weights[:, c]).dets
        assert_same(fused.take(fused.label == c), alone)


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_a_photo_twice_as_large_gives_boxes_twice_as_large(rule):
    given = tables(4)
    fused = fuse_tables(given, rule).dets
    larger = fuse_tables([replace(t, xyxy=2 * t.xyxy) for t in given], rule).dets
    assert_same(larger, replace(fused, xyxy=2 * fused.xyxy))


@pytest.mark.parametrize("method", ["nms", "soft-nms", "nmw"])
def test_of_equal_scores_the_first_tables_box_goes_first_then_the_leftmost(method):
    one = detections((0, 0, 0.5, 2, 0, 12, 10), (0, 0, 0.5, 1, 0, 11, 10))
    two = detections((0, 0, 0.5, 0, 0, 10, 10))
    fused = fuse_tables([one, two], FusionRule(method, members_iou=1))
    assert fused.row[fused.into == 0][0] == 1 and fused.dets.score[0] == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_one_table_through_nms_is_that_tables_nms(seed):
    (table,) = tables(seed, 1, ties=False)
    assert_same(fuse_tables([table], FusionRule("nms", iou=0.4)).dets, nms(table, 0.4))


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_the_members_of_a_box_are_rows_of_its_image_and_class(rule):
    given = tables(5)
    fused = fuse_tables(given, rule)
    assert sorted(set(fused.into.tolist())) == list(range(len(fused.dets)))
    assert len(set(zip(fused.model.tolist(), fused.row.tolist()))) == len(fused.row)
    for model, row, into in zip(fused.model, fused.row, fused.into):
        assert given[model].image[row] == fused.dets.image[into]
        assert given[model].label[row] == fused.dets.label[into]
        if rule.method in ("nms", "soft-nms"):
            np.testing.assert_array_equal(given[model].xyxy[row], fused.dets.xyxy[into])


def test_a_wbf_box_is_the_mean_of_its_members_by_weighted_score_and_every_row_is_in_one():
    given, weights = tables(6), np.array([2, 1, 0.5])
    fused = fuse_tables(given, FusionRule(members_iou=1), weights=weights)
    assert len(fused.row) == sum(map(len, given))
    for box in range(len(fused.dets)):
        rows_in = [
            (given[m], r, weights[m])
            for m, r, b in zip(fused.model, fused.row, fused.into)
            if b == box
        ]
        share = [weight * table.score[row] for table, row, weight in rows_in]
        mean = np.average([table.xyxy[row] for table, row, _ in rows_in], axis=0, weights=share)
        np.testing.assert_allclose(fused.dets.xyxy[box], mean, rtol=1e-5)


@pytest.mark.parametrize("decay", ["linear", "gaussian"])
@pytest.mark.parametrize("seed", range(5))
def test_soft_nms_agrees_with_the_slow_oracle(decay, seed):
    (table,) = tables(seed, 1)
    rule = FusionRule("soft-nms", iou=0.3, decay=decay, sigma=0.3, skip_below=0.02)
    expected = soft_scores(table, rule)
    kept = expected.astype(np.float32) >= np.float32(0.02)
    theirs, ours = rows(table.take(kept), expected[kept]), fuse_tables([table], rule).dets
    assert len(ours) == len(theirs) < len(table)
    np.testing.assert_allclose(rows(ours, ours.score), theirs, rtol=1e-6)


def rows(dets, score):
    return sorted(
        zip(dets.image.tolist(), dets.label.tolist(), *dets.xyxy.T.tolist(), score.tolist())
    )


def soft_scores(table, rule):
    """Each row's score after soft-NMS, by group; of equal scores the first by box is taken."""
    score = table.score.astype(np.float64)
    for image, label in set(zip(table.image.tolist(), table.label.tolist())):
        left = set(np.flatnonzero((table.image == image) & (table.label == label)).tolist())
        while left:
            best = min(left, key=lambda row: (-score[row], *table.xyxy[row]))
            left.remove(best)
            for row in left:
                overlap = iou_rowwise(table.xyxy[[row]], table.xyxy[[best]])[0]
                if rule.decay == "gaussian":
                    score[row] *= np.exp(-(overlap**2) / rule.sigma)
                elif overlap > rule.iou:
                    score[row] *= 1 - overlap
    return score


def test_soft_nms_returns_the_lowered_score_and_drops_a_twin():
    # IoU(BOX, NEAR) = 0.9: 0.8 * (1 - 0.9) = 0.08; the twin's 0.7 * (1 - 1) = 0
    fused = fuse_tables(
        [detections((0, 0, 0.9, *BOX), (0, 0, 0.8, *NEAR), (0, 0, 0.7, *BOX))],
        FusionRule("soft-nms"),
    ).dets
    np.testing.assert_allclose(fused.score, [0.9, 0.08], rtol=1e-5)


def test_a_detectors_faint_boxes_around_its_best_do_not_lower_it():
    candidates = detections((0, 0, 0.9, *BOX), (0, 0, 0.1, *NEAR), (0, 0, 0.2, *BOX))
    assert fuse_tables([candidates], FusionRule()).dets.score.tolist() == pytest.approx([0.9])
    assert fuse_tables(
        [candidates], FusionRule(members_iou=1)
    ).dets.score.tolist() == pytest.approx([0.4])  # (0.9 + 0.1 + 0.2) / 3


def test_for_nms_scores_are_weighed_against_the_heaviest():
    strong, weak = detections((0, 0, 0.8, *BOX)), detections((0, 0, 0.9, *NEAR), (0, 0, 0.6, *FAR))
    fused = fuse_tables([strong, weak], FusionRule("nms"), weights=[4, 2]).dets
    assert fused.score.tolist() == pytest.approx([0.8, 0.3])


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_nothing_in_nothing_out(rule):
    assert len(fuse_tables([detections(), detections()], rule).dets) == 0
    assert len(fuse_tables([Detections((), (), [], [], np.empty((0, 4)), [])], rule).dets) == 0


def test_rows_below_the_limit_are_left_out_and_those_at_it_stay():
    fused = fuse_tables(
        [detections((0, 0, 0.1, *BOX), (0, 0, 0.0999, *FAR), (0, 1, 0, *BOX))],
        FusionRule(skip_below=0.1),
    )
    assert fused.row.tolist() == [0]


@pytest.mark.parametrize(
    ("given", "weights", "message"),
    [
        ([], None, "at least one table"),
        ([detections((0, 0, 0, *BOX))], None, "^one: 1 scores are 0, want above 0"),
        (
            [detections(), replace(detections(), image_ids=("a", "z"))],
            None,
            "^two: want the images of one; 1 are new ",
        ),
        (
            [detections(), replace(detections(), classes=("cat", "dog"))],
            None,
            "0 are new, 1 are missing .such as bird",
        ),
        ([detections()], [1, 2], r"weights are \(2,\), want \(1,\)"),
        ([detections()], [0], "not all 0"),
        ([detections()], [-1], "want 0 or more"),
        ([detections()], [float("nan")], "want 0 or more"),
    ],
)
def test_what_cannot_be_fused_is_refused(given, weights, message):
    with pytest.raises(InputError, match=message):
        fuse_tables(given, FusionRule(), weights=weights, names=["one", "two"][: len(given)])


@pytest.mark.parametrize(
    "values",
    [
        {"method": "mean"},
        {"conf_type": "sum"},
        {"decay": "cubic"},
        {"iou": 45},
        {"skip_below": -1},
        {"sigma": 0},
    ],
)
def test_a_rule_that_cannot_be_is_refused(values):
    (name,) = values
    with pytest.raises(InputError, match=f"{name} is .*, want"):
        FusionRule(**values)
    with pytest.raises(InputError, match="members_iou is nan"):
        FusionRule(members_iou=float("nan"))


def test_tables_are_left_as_they_are():
    given = tables(7)
    before = [t.score.copy() for t in given]
    fuse_tables(given, FusionRule("soft-nms"), weights=[1, 2, 3])
    for table, score in zip(given, before):
        np.testing.assert_array_equal(table.score, score)
