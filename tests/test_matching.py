"""evaluate.metrics.matching: one pass holds every threshold."""

import numpy as np
import pytest

from evaluate.boxes import iou
from evaluate.exceptions import InputError
from evaluate.metrics.matching import best_truth, match, ranking
from evaluate.tables import Detections
from tests.oracles import detections, random_tables, reordered, truths


def test_a_detection_is_a_hit_for_thresholds_above_what_was_claimed_and_up_to_its_overlap():
    # one truth of 10 x 10; by rank the overlaps are 0.6, 0.9, 0.8
    # and what a better one has claimed is 0, 0.6, 0.9
    matches = match(
        detections((0, 0, 0.9, 0, 0, 6, 10), (0, 0, 0.8, 0, 0, 9, 10), (0, 0, 0.7, 0, 0, 8, 10)),
        truths((0, 0, 0, 0, 10, 10)),
    )
    assert matches.near.overlap.tolist() == [0.6, 0.9, 0.8] and matches.near.claimed.tolist() == [
        0,
        0.6,
        0.9,
    ]
    assert matches.hits(0.5).tolist() == [True, False, False]
    assert matches.hits(0.7).tolist() == [False, True, False]
    assert matches.hits(0.95).tolist() == [False, False, False]


def test_the_best_overlapped_truth_is_kept_even_when_it_is_taken():
    # Both detections overlap the first truth most.
    # The second one overlaps the free truth by 0.6, too: still no hit.
    matches = match(
        detections((0, 0, 0.9, 0, 0, 10, 10), (0, 0, 0.8, 0, 0, 9, 10)),
        truths((0, 0, 0, 0, 10, 10), (0, 0, 0, 0, 6, 10)),
    )
    assert matches.target.tolist() == [0, 0]
    assert matches.hits(0.5).tolist() == [True, False]


def test_a_detection_without_truth_of_its_class_and_image_has_no_target():
    matches = match(
        detections((0, 0, 0.9, 0, 0, 5, 5), (1, 1, 0.8, 0, 0, 5, 5), (0, 1, 0.7, 5, 5, 9, 9)),
        truths((0, 1, 0, 0, 5, 5)),
    )
    assert (
        matches.target.tolist() == [-1, -1, -1]
        and not matches.overlap.any()
        and not len(matches.near.rank)
    )


def test_difficult_truths_are_neutral_at_their_overlap_and_no_positives():
    matches = match(
        detections((0, 0, 0.9, 0, 0, 6, 10)),
        truths((0, 0, 0, 0, 10, 10), (1, 0, 0, 0, 1, 1), difficult=(0,)),
    )
    assert matches.neutral(0.6).tolist() == [True] and matches.neutral(0.61).tolist() == [False]
    assert not matches.hits(0.6).any() and matches.positives.tolist() == [1, 0, 0]


def test_equal_scores_rank_by_image_id_then_by_box():
    rows = [
        (1, 0, 0.5, 0, 0, 1, 1),
        (0, 0, 0.5, 2, 0, 3, 1),
        (0, 0, 0.5, 1, 0, 3, 1),
        (0, 0, 0.5, 1, 0, 2, 1),
    ]
    assert ranking(detections(*rows, (1, 0, 0.6, 9, 9, 9, 9))).tolist() == [4, 3, 2, 1, 0]


def test_of_equal_overlaps_the_lowest_box_is_taken():
    left, right = (0, 0, 0, 0, 10, 10), (0, 0, 5, 0, 15, 10)
    between = detections((0, 0, 0.9, 0, 0, 15, 10))
    assert match(between, truths(left, right)).target.tolist() == [0]
    assert match(between, truths(right, left)).target.tolist() == [1]


@pytest.mark.parametrize("hard", [0, 1])
def test_of_the_same_box_twice_the_one_that_is_not_difficult_is_taken(hard):
    matches = match(
        detections((0, 0, 0.9, 0, 0, 5, 5)), truths(*[(0, 0, 0, 0, 5, 5)] * 2, difficult=(hard,))
    )
    assert matches.target.tolist() == [1 - hard]


@pytest.mark.parametrize("seed", range(10))
def test_row_points_back_at_the_table(seed):
    dets, truth = random_tables(seed)
    matches = match(dets, truth)
    assert sorted(matches.row) == list(range(len(dets)))
    np.testing.assert_array_equal(dets.score[matches.row], matches.score)
    np.testing.assert_array_equal(dets.label[matches.row], matches.label)
    hit = matches.target >= 0
    np.testing.assert_array_equal(truth.image[matches.target[hit]], dets.image[matches.row[hit]])
    np.testing.assert_array_equal(truth.label[matches.target[hit]], matches.label[hit])


@pytest.mark.parametrize("seed", range(10))
def test_order_of_rows_images_and_classes_changes_no_match(seed):
    dets, truth = random_tables(seed)
    matches = match(dets, truth)
    moved = match(reordered(dets, seed), reordered(truth, seed + 100))
    for c, name in enumerate(matches.classes):
        one, other = matches.label == c, moved.label == moved.classes.index(name)
        for column in ("score", "overlap"):
            np.testing.assert_array_equal(
                getattr(matches, column)[one], getattr(moved, column)[other]
            )
        one, other = one[matches.near.rank], other[moved.near.rank]
        for column in ("overlap", "claimed", "difficult"):
            np.testing.assert_array_equal(
                getattr(matches.near, column)[one], getattr(moved.near, column)[other]
            )


@pytest.mark.parametrize("seed", range(10))
def test_above_a_confidence_is_as_if_the_others_had_never_been_there(seed):
    dets, truth = random_tables(seed)
    for conf in (0.0, 0.35, 1.0):
        late, early = match(dets, truth).above(conf), match(dets.take(dets.score >= conf), truth)
        for column in ("label", "score", "stops"):
            np.testing.assert_array_equal(getattr(late, column), getattr(early, column))
        for late_column, early_column in zip(late.near, early.near):
            np.testing.assert_array_equal(late_column, early_column)


def by_all_columns(dets):
    image = np.argsort(np.argsort(dets.image_ids))[dets.image]
    return np.lexsort((*dets.xyxy.T[::-1], image, -dets.score, dets.label))


@pytest.mark.parametrize("seed", range(5))
def test_a_table_in_order_of_images_and_one_in_any_order_rank_by_all_columns(seed):
    dets, _ = random_tables(seed)
    by_image = dets.take(np.lexsort((dets.score, np.array(dets.image_ids)[dets.image])))
    for table in (dets, by_image, dets.take(np.array([], int))):
        np.testing.assert_array_equal(ranking(table), by_all_columns(table))


@pytest.mark.parametrize("n", [200, 70_000])
def test_more_images_boxes_and_classes_than_fit_into_one_key_rank_by_all_columns(n):
    images, classes = 70_000, 32_767
    rng = np.random.default_rng(0)
    image, label = np.sort(rng.integers(0, images, n)), rng.integers(0, 3, n) * (classes // 2)
    ids = [f"{i:05d}" for i in range(images)]
    for image_ids in (ids, rng.permutation(ids).tolist()):
        dets = Detections(
            image_ids,
            list(map(str, range(classes))),
            image,
            label,
            np.tile([0, 0, 1, 1], (n, 1)),
            0 * label,
        )
        np.testing.assert_array_equal(ranking(dets), by_all_columns(dets))


@pytest.mark.parametrize("seed", range(10))
def test_the_best_truth_is_that_of_the_iou_matrix(seed):
    dets, truth = random_tables(seed)
    overlap, target = best_truth(dets, truth)
    same = (dets.image[:, None] == truth.image) & (dets.label[:, None] == truth.label)
    table = np.where(same, iou(dets.xyxy, truth.xyxy), 0)
    np.testing.assert_array_equal(overlap, table.max(1))
    for row in range(len(dets)):
        equal = np.flatnonzero(table[row] == overlap[row])
        first = min(equal, key=lambda t: (*truth.xyxy[t], truth.difficult[t], t))
        assert target[row] == (first if overlap[row] else -1)


@pytest.mark.parametrize("seed", range(3))
def test_compiled_and_interpreted_loops_find_the_same_to_the_bit(monkeypatch, seed):
    dets, truth = random_tables(seed)
    interpreted = match(dets, truth)
    monkeypatch.setattr("evaluate.loops.FEW", 0)
    for one, other in zip(interpreted.near, match(dets, truth).near):
        assert one.tobytes() == other.tobytes()


def test_other_images_are_refused():
    with pytest.raises(InputError, match="images that the truth does not list"):
        match(random_tables(0)[0], truths())
