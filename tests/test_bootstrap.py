"""evaluate.metrics.bootstrap: a replicate by weights scores as the table that was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from evaluate.exceptions import InputError
from evaluate.metrics.bootstrap import difference_with_interval, score_with_interval
from evaluate.metrics.voc import voc_map
from evaluate.tables import Detections, GroundTruth
from tests.oracles import detections, random_tables, reordered, truths


def interval(dets, truth, **options):
    return score_with_interval(dets, truth, **options)[1]


def without_ties(dets):
    rng = np.random.default_rng(1)
    return replace(dets, score=rng.permutation(np.linspace(0.1, 0.9, len(dets))).astype(np.float32))


def drawn_table(table, picks):
    """The table with image number picks[k] as its k-th image."""
    rows = list(table.rows_by_image())
    chosen = np.concatenate([rows[p] for p in picks])
    image = np.repeat(np.arange(len(picks)), [len(rows[p]) for p in picks])
    return replace(
        table.take(chosen), image_ids=tuple(f"{k:04d}" for k in range(len(picks))), image=image
    )


@pytest.mark.parametrize("eleven_point", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_one_replicate_is_the_score_of_the_images_drawn(seed, eleven_point):
    dets, truth = random_tables(seed)
    dets = without_ties(dets)
    n = len(truth.image_ids)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), 1)[0]
    picks = np.repeat(
        np.argsort(truth.image_ids), times
    )  # images are drawn in the order of their ids
    drawn = drawn_table(truth, picks)
    if drawn.difficult.all():
        pytest.skip("nothing that counts was drawn")
    wanted = voc_map(drawn_table(dets, picks), drawn, eleven_point=eleven_point).map
    low, high = interval(dets, truth, eleven_point=eleven_point, replicates=1, seed=seed)
    assert low == high == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("eleven_point", [False, True])
def test_compiled_and_interpreted_loops_draw_the_same_to_the_bit(monkeypatch, eleven_point):
    dets, truth = random_tables(3, images=20)
    interpreted = interval(dets, truth, eleven_point=eleven_point, replicates=50)
    monkeypatch.setattr("evaluate.loops.FEW", 0)
    assert interval(dets, truth, eleven_point=eleven_point, replicates=50) == interpreted


@pytest.mark.parametrize("seed", range(3))
def test_order_of_rows_images_and_classes_never_changes_an_interval(seed):
    dets, truth = random_tables(seed, images=20)
    moved = interval(reordered(dets, seed), reordered(truth, seed + 100), replicates=50)
    assert moved == interval(dets, truth, replicates=50)


def test_a_score_with_its_interval_is_the_score():
    dets, truth = random_tables(3, images=20)
    score, _ = score_with_interval(dets, truth, iou_min=0.6, replicates=50)
    assert score.per_class == voc_map(dets, truth, iou_min=0.6).per_class


def test_images_that_are_all_alike_leave_no_doubt():
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (20, 1))
    ids = tuple(f"{i}" for i in range(20))
    image, label = np.arange(20), np.zeros(20)
    truth = GroundTruth(ids, ("dog",), image, label, boxes, np.zeros(20, bool))
    assert interval(Detections(ids, ("dog",), image, label, boxes, np.full(20, 0.5)), truth) == (
        1.0,
        1.0,
    )


def test_a_class_without_truth_in_a_draw_is_left_out_of_its_mean():
    truth = truths(
        (0, 0, 0, 0, 10, 10), (1, 1, 0, 0, 10, 10)
    )  # cats on one photo, dogs on the other
    dets = detections((0, 0, 0.9, 0, 0, 10, 10), (1, 1, 0.9, 0, 0, 10, 10))
    assert interval(dets, truth, level=1) == (1.0, 1.0)


def test_an_empty_submission_scores_nothing_with_certainty():
    dets, truth = random_tables(0)
    assert interval(dets.take(np.zeros(len(dets), bool)), truth) == (0.0, 0.0)


def test_the_interval_holds_the_score_and_widens_with_its_level():
    dets, truth = random_tables(3, images=40)
    (a, b), (c, d) = interval(dets, truth, level=0.5), interval(dets, truth, level=0.95)
    assert c < a < b < d and c < voc_map(dets, truth).map < d


def test_a_truth_that_counts_nothing_is_refused():
    dets, truth = random_tables(0)
    with pytest.raises(InputError, match="nothing to score against"):
        interval(dets, replace(truth, difficult=np.ones(len(truth), bool)))


def worse(dets):
    """Every third detection is gone."""
    return dets.take(np.arange(len(dets)) % 3 > 0)


def test_a_table_does_not_differ_from_itself():
    dets, truth = random_tables(3, images=40)
    mean, classes = difference_with_interval(dets, dets, truth)
    assert (mean.value, mean.low, mean.high, mean.certain) == (0, 0, 0, False)
    assert {difference.value for difference in classes.values() if difference} == {0}


def test_a_difference_is_that_of_the_scores_and_turns_with_its_sign():
    dets, truth = random_tables(3, images=40)
    scores = [voc_map(table, truth) for table in (worse(dets), dets)]
    mean, classes = difference_with_interval(worse(dets), dets, truth)
    back, back_classes = difference_with_interval(dets, worse(dets), truth)
    assert (
        mean.value == pytest.approx(scores[1].map - scores[0].map)
        and mean.low < mean.value < mean.high
    )
    assert (back.value, back.low, back.high) == pytest.approx((-mean.value, -mean.high, -mean.low))
    for name, difference in classes.items():
        if difference is None:
            continue
        assert difference.value == pytest.approx(
            scores[1].per_class[name] - scores[0].per_class[name]
        )
        assert back_classes[name].value == pytest.approx(-difference.value)


def test_one_replicate_of_a_difference_is_scored_on_one_draw():
    dets, truth = random_tables(5, images=12)
    dets = without_ties(dets)
    less = worse(dets)
    ends = [interval(table, truth, replicates=1, seed=4)[0] for table in (less, dets)]
    mean, _ = difference_with_interval(less, dets, truth, replicates=1, seed=4)
    assert mean.low == mean.high == pytest.approx(ends[1] - ends[0])


def test_a_paired_difference_is_more_certain_than_two_intervals():
    dets, truth = random_tables(3, images=60)
    dropped = np.arange(len(dets)) % 12 > 0
    low, high = interval(dets, truth)
    mean, _ = difference_with_interval(dets.take(dropped), dets, truth)
    assert mean.high - mean.low < (high - low) / 2


def test_a_class_without_truth_has_no_difference():
    dets, truth = random_tables(3, images=20)
    bare = truth.take(truth.label != 1)
    _, classes = difference_with_interval(dets, dets, bare)
    without = {name for name, ap in voc_map(dets, bare).per_class.items() if ap is None}
    assert (
        truth.classes[1] in without
        and {name for name, difference in classes.items() if difference is None} == without
    )
