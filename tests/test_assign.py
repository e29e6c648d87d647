"""models.assign on a 4 x 4 grid of stride 8, worked by hand."""

import torch

from models.assign import match_best_anchor, match_by_ratio, stack_truths


def truths(*cxcywh):
    """(T, 6) of image 0, label 0."""
    rows = torch.tensor(cxcywh, dtype=torch.float32).reshape(-1, 4)
    return torch.cat([torch.zeros(len(rows), 2), rows], 1)


def cells(found):
    return sorted(zip(found.row.tolist(), found.col.tolist(), found.anchor.tolist()))


def test_targets_become_one_table_with_the_image_and_the_box_as_centre_and_size():
    table = stack_truths(
        [
            (torch.tensor([2]), torch.tensor([[0.0, 10, 20, 40]])),
            (torch.zeros(0, dtype=torch.long), torch.zeros(0, 4)),
            (torch.tensor([1]), torch.tensor([[4.0, 4, 6, 8]])),
        ]
    )
    assert table.tolist() == [[0, 2, 10, 25, 20, 30], [2, 1, 5, 6, 2, 4]]


def test_the_centre_cell_and_its_two_nearest_neighbours_answer():
    # centre (10, 14) / 8 = cell (1.25, 1.75): home col 1 row 1, nearest column to the left, nearest row below
    found = match_by_ratio(truths((10, 14, 8, 8)), torch.tensor([[8.0, 8]]), (4, 4), 8, 4.0)
    assert cells(found) == [(1, 0, 0), (1, 1, 0), (2, 1, 0)]


def test_neighbours_outside_the_grid_are_left_out():
    # cell (0.25, 0.25): both nearest neighbours have index -1
    found = match_by_ratio(truths((2, 2, 8, 8)), torch.tensor([[8.0, 8]]), (4, 4), 8, 4.0)
    assert cells(found) == [(0, 0, 0)]


def test_an_anchor_four_times_too_large_or_small_does_not_answer():
    anchors = torch.tensor([[8.0, 8], [31.9, 8], [32.0, 8], [2.0, 8], [2.1, 8]])
    found = match_by_ratio(truths((2, 2, 8, 8)), anchors, (4, 4), 8, 4.0)
    assert cells(found) == [(0, 0, 0), (0, 0, 1), (0, 0, 4)]


def test_one_best_anchor_of_all_levels_and_the_other_good_ones_are_ignored():
    # truth 8 x 8. Shape IoU with 8x8: 1; with 8x6: 48 / 64 = .75, ignored; with 4x4: 16 / 64 = .25, background;
    # on the second level 12x8: 64 / 96 = .67, ignored
    anchors = torch.tensor([[[8.0, 8], [8, 6], [4, 4]], [[12, 8], [60, 60], [90, 90]]])
    fine, coarse = match_best_anchor(truths((10, 26, 8, 8)), anchors, [(4, 4), (2, 2)], (8, 16))
    assert cells(fine[0]) == [(3, 1, 0)] and cells(fine[1]) == [(3, 1, 1)]
    assert cells(coarse[0]) == [] and cells(coarse[1]) == [(1, 0, 0)]


def test_no_truth_matches_nothing():
    anchors = torch.ones(2, 3, 2)
    assert len(match_by_ratio(truths(), anchors[0], (4, 4), 8, 4.0).truth) == 0
    for positives, ignored in match_best_anchor(truths(), anchors, [(4, 4), (2, 2)], (8, 16)):
        assert len(positives.truth) == len(ignored.truth) == 0
