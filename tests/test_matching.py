"""evaluate.matching: one pass holds every threshold."""

import numpy as np
import pytest

from evaluate.matching import match, ranking
from evaluate.tables import InputError
from tests.oracles import detections, random_tables, reordered, truths


def test_a_detection_is_a_hit_for_thresholds_above_what_was_claimed_and_up_to_its_overlap():
    # one truth of 10 x 10; in rank order overlaps 0.6, 0.9, 0.8: claimed by a better one 0, 0.6, 0.9
    found = match(
        detections((0, 0, 0.9, 0, 0, 6, 10), (0, 0, 0.8, 0, 0, 9, 10), (0, 0, 0.7, 0, 0, 8, 10)),
        truths((0, 0, 0, 0, 10, 10)),
    )
    assert found.overlap.tolist() == [0.6, 0.9, 0.8] and found.claimed.tolist() == [0, 0.6, 0.9]
    assert found.hits(0.5).tolist() == [True, False, False]
    assert found.hits(0.7).tolist() == [False, True, False]
    assert found.hits(0.95).tolist() == [False, False, False]


def test_the_best_overlapped_truth_is_kept_even_when_it_is_taken():
    # Both detections overlap the first truth most, the second one 0.6 with the free truth too: still no hit.
    found = match(
        detections((0, 0, 0.9, 0, 0, 10, 10), (0, 0, 0.8, 0, 0, 9, 10)),
        truths((0, 0, 0, 0, 10, 10), (0, 0, 0, 0, 6, 10)),
    )
    assert found.target.tolist() == [0, 0]
    assert found.hits(0.5).tolist() == [True, False]


def test_a_detection_without_truth_of_its_class_and_image_has_no_target():
    found = match(
        detections((0, 0, 0.9, 0, 0, 5, 5), (1, 1, 0.8, 0, 0, 5, 5), (0, 1, 0.7, 5, 5, 9, 9)),
        truths((0, 1, 0, 0, 5, 5)),
    )
    assert found.target.tolist() == [-1, -1, -1] and not found.overlap.any() and not found.difficult.any()


def test_difficult_truths_are_neutral_at_their_overlap_and_no_positives():
    found = match(
        detections((0, 0, 0.9, 0, 0, 6, 10)), truths((0, 0, 0, 0, 10, 10), (1, 0, 0, 0, 1, 1), difficult=(0,))
    )
    assert found.neutral(0.6).tolist() == [True] and found.neutral(0.61).tolist() == [False]
    assert not found.hits(0.6).any() and found.positives.tolist() == [1, 0, 0]


def test_equal_scores_rank_by_image_id_then_by_box():
    rows = [(1, 0, 0.5, 0, 0, 1, 1), (0, 0, 0.5, 2, 0, 3, 1), (0, 0, 0.5, 1, 0, 3, 1), (0, 0, 0.5, 1, 0, 2, 1)]
    assert ranking(detections(*rows, (1, 0, 0.6, 9, 9, 9, 9))).tolist() == [4, 3, 2, 1, 0]


def test_of_equal_overlaps_the_lowest_box_is_taken():
    left, right = (0, 0, 0, 0, 10, 10), (0, 0, 5, 0, 15, 10)
    between = detections((0, 0, 0.9, 0, 0, 15, 10))
    assert match(between, truths(left, right)).target.tolist() == [0]
    assert match(between, truths(right, left)).target.tolist() == [1]


@pytest.mark.parametrize("hard", [0, 1])
def test_of_the_same_box_twice_the_one_that_is_not_difficult_is_taken(hard):
    found = match(detections((0, 0, 0.9, 0, 0, 5, 5)), truths(*[(0, 0, 0, 0, 5, 5)] * 2, difficult=(hard,)))
    assert found.target.tolist() == [1 - hard]


@pytest.mark.parametrize("seed", range(10))
def test_row_points_back_at_the_table(seed):
    dets, truth = random_tables(seed)
    found = match(dets, truth)
    assert sorted(found.row) == list(range(len(dets)))
    np.testing.assert_array_equal(dets.score[found.row], found.score)
    np.testing.assert_array_equal(dets.label[found.row], found.label)
    hit = found.target >= 0
    np.testing.assert_array_equal(truth.image[found.target[hit]], dets.image[found.row[hit]])
    np.testing.assert_array_equal(truth.label[found.target[hit]], found.label[hit])


@pytest.mark.parametrize("seed", range(10))
def test_order_of_rows_images_and_classes_changes_no_match(seed):
    dets, truth = random_tables(seed)
    found = match(dets, truth)
    moved = match(reordered(dets, seed), reordered(truth, seed + 100))
    for c, name in enumerate(found.classes):
        mine, theirs = found.label == c, moved.label == moved.classes.index(name)
        for column in ("score", "overlap", "claimed", "difficult"):
            np.testing.assert_array_equal(getattr(found, column)[mine], getattr(moved, column)[theirs])


@pytest.mark.parametrize("seed", range(10))
def test_above_a_confidence_is_as_if_the_others_had_never_been_there(seed):
    dets, truth = random_tables(seed)
    for conf in (0.0, 0.35, 1.0):
        late, early = match(dets, truth).above(conf), match(dets.take(dets.score >= conf), truth)
        for column in ("label", "score", "overlap", "claimed", "difficult"):
            np.testing.assert_array_equal(getattr(late, column), getattr(early, column))


def test_other_images_are_refused():
    with pytest.raises(InputError, match="images that the truth does not list"):
        match(random_tables(0)[0], truths())
