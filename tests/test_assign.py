"""models.assign on a 4 x 4 grid of stride 8, worked by hand."""

import itertools

import pytest
import torch

from models.assign import match_best_anchor, match_by_ratio, stack_truths
from models.heads import ANCHORS


def truths(*cxcywh):
    """(T, 6) of image 0, label 0."""
    rows = torch.tensor(cxcywh, dtype=torch.float32).reshape(-1, 4)
    return torch.cat([torch.zeros(len(rows), 2), rows], 1)


def cells(positives):
    """(row, column, anchor) of each."""
    return sorted(zip(positives.row.tolist(), positives.col.tolist(), positives.anchor.tolist()))


def iou(a, b):
    """Of two boxes cxcywh."""
    shared = 1.0
    for i in (0, 1):
        shared *= max(
            0.0,
            min(a[i] + a[2 + i] / 2, b[i] + b[2 + i] / 2)
            - max(a[i] - a[2 + i] / 2, b[i] - b[2 + i] / 2),
        )
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


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
    # centre (10, 14) / 8 = cell (1.25, 1.75): home col 1 row 1, nearest column to the left,
    # nearest row below
    positives = match_by_ratio(truths((10, 14, 8, 8)), torch.tensor([[8.0, 8]]), (4, 4), 8, 4.0)
    assert cells(positives) == [(1, 0, 0), (1, 1, 0), (2, 1, 0)]


def test_neighbours_outside_the_grid_are_left_out():
    # cell (0.25, 0.25): both nearest neighbours have index -1
    positives = match_by_ratio(truths((2, 2, 8, 8)), torch.tensor([[8.0, 8]]), (4, 4), 8, 4.0)
    assert cells(positives) == [(0, 0, 0)]


def test_an_anchor_four_times_too_large_or_small_does_not_answer():
    anchors = torch.tensor([[8.0, 8], [31.9, 8], [32.0, 8], [2.0, 8], [2.1, 8]])
    positives = match_by_ratio(truths((2, 2, 8, 8)), anchors, (4, 4), 8, 4.0)
    assert cells(positives) == [(0, 0, 0), (0, 0, 1), (0, 0, 4)]


def test_the_best_anchor_of_all_levels_answers_and_other_priors_on_the_truth_are_ignored():
    # Truth 8 x 8 about (12, 27): x 8 to 16, y 23 to 31. Best shape 8 x 8, in row 3 col 1, whose
    # middle is (12, 28). There 8 x 6 (y 25 to 31) shares 48 of 64: .75, ignored; 4 x 4 shares 16 of
    # 64, background. A row up, about (12, 20), 8 x 8 shares 8 of 120. On the second level the
    # middle is (8, 24): 12 x 8 (x 2 to 14, y 20 to 28) shares 6 * 5 = 30 of 130, background though
    # its shape IoU is .67; 16 x 16 (x 0 to 16, y 16 to 32) shares 64 of 256.
    anchors = torch.tensor([[[8.0, 8], [8, 6], [4, 4]], [[12, 8], [16, 16], [90, 90]]])
    fine, coarse = match_best_anchor(truths((12, 27, 8, 8)), anchors, [(4, 4), (2, 2)], (8, 16))
    assert cells(fine[0]) == [(3, 1, 0)] and cells(fine[1]) == [(3, 1, 1)]
    assert cells(coarse[0]) == [] and cells(coarse[1]) == []


def test_priors_of_neighbouring_cells_are_ignored_where_they_overlap_the_truth():
    # Truth and anchor 32 x 32, cells of 8. k cells off they share (32 - 8k) / 32 of the side: one
    # cell .75 / 1.25 = .6, two .5 / 1.5 = .33, one on each axis .5625 / 1.4375 = .39.
    anchors = torch.tensor([[[32.0, 32]]])
    [(positives, ignored)] = match_best_anchor(truths((36, 36, 32, 32)), anchors, [(8, 8)], (8,))
    assert cells(positives) == [(4, 4, 0)] and cells(ignored) == [
        (3, 4, 0),
        (4, 3, 0),
        (4, 5, 0),
        (5, 4, 0),
    ]
    [(_, corner)] = match_best_anchor(truths((4, 4, 32, 32)), anchors, [(8, 8)], (8,))
    assert cells(corner) == [(0, 1, 0), (1, 0, 0)]


def test_a_wide_prior_is_ignored_out_to_half_its_width_from_the_truth():
    # Prior 64 x 8, truth 120 x 8 about (135.9, 12): col 16, .1 from its right edge. A prior d off
    # shares 64 of 120, .533, while d is up to 28, then 92 - d: col 20, 28.1 off, 63.9 / 120.1; cols
    # 12 and 21, about 36 off, 56 / 128.
    [(positives, ignored)] = match_best_anchor(
        truths((135.9, 12, 120, 8)), torch.tensor([[[64.0, 8]]]), [(3, 33)], (8,)
    )
    assert cells(positives) == [(1, 16, 0)]
    assert cells(ignored) == [(1, col, 0) for col in (13, 14, 15, 17, 18, 19, 20)]


@pytest.mark.parametrize("ignore_min", [0.2, 0.5, 0.7])
def test_ignored_is_what_trying_every_prior_on_every_truth_finds_less_all_positives(ignore_min):
    torch.manual_seed(0)
    anchors, grids, strides = (
        torch.tensor(ANCHORS).float(),
        [(12, 20), (6, 10), (3, 5)],
        (8, 16, 32),
    )
    table = torch.cat([torch.randint(3, (40, 2)), torch.rand(40, 2) * torch.tensor([160, 96])], 1)
    table = torch.cat([table, torch.rand(40, 2) ** 2 * 150 + 4], 1)
    table[1:4] = table[0]  # several in one place
    matches = match_best_anchor(table, anchors, grids, strides, ignore_min)
    positives_near = 0
    for (rows, cols), stride, shapes, (positives, ignored) in zip(
        grids, strides, anchors.tolist(), matches
    ):
        expected = {
            (int(image), a, row, col)
            for image, _, x, y, w, h in table.tolist()
            for a, (pw, ph) in enumerate(shapes)
            for row, col in itertools.product(range(rows), range(cols))
            if iou((x, y, w, h), ((col + 0.5) * stride, (row + 0.5) * stride, pw, ph)) > ignore_min
        }
        positive = set(zip(*(column.tolist() for column in positives.location)))
        assert set(zip(*(column.tolist() for column in ignored.location))) == expected - positive
        positives_near += len(expected & positive)
    assert positives_near > 0


def test_no_truth_matches_nothing():
    anchors = torch.ones(2, 3, 2)
    assert len(match_by_ratio(truths(), anchors[0], (4, 4), 8, 4.0).truth) == 0
    for positives, ignored in match_best_anchor(truths(), anchors, [(4, 4), (2, 2)], (8, 16)):
        assert len(positives.truth) == len(ignored.truth) == 0
