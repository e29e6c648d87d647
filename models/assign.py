"""Which cells and anchors answer for which truth.

A truth is a row of `truths` (T, 6): image of the batch, label, then cx, cy, w, h in pixels of the input.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from models.detector import Target


class Positives(NamedTuple):
    """P pairings of one output level: `raw[image, anchor, row, col]` answers for `truths[truth]`."""

    image: Tensor  # (P,) int64
    anchor: Tensor  # (P,)
    row: Tensor  # (P,)
    col: Tensor  # (P,)
    truth: Tensor  # (P,) row of truths

    @property
    def at(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.image, self.anchor, self.row, self.col


def stack_truths(targets: list[Target]) -> Tensor:
    """One table of all the truths of a batch. -> (T, 6) float32: image, label, cx, cy, w, h."""
    image = torch.cat([torch.full_like(labels, i) for i, (labels, _) in enumerate(targets)])
    label = torch.cat([labels for labels, _ in targets])
    xyxy = torch.cat([boxes for _, boxes in targets]).float()
    centre, extent = (xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]
    return torch.cat([image[:, None], label[:, None], centre, extent], 1)


def match_by_ratio(
    truths: Tensor,
    anchors: Tensor,
    grid: tuple[int, int],
    stride: int,
    ratio_max: float,
    neighbours: bool = True,
) -> Positives:
    """Every anchor of about the truth's size, in the cell of its centre and, by default, the two nearest neighbours.

    anchors is (A, 2) in pixels, grid the level's (rows, cols). An anchor fits when neither side differs by a
    factor of `ratio_max` or more. The neighbours are the horizontal and the vertical cell nearest to the centre;
    those outside the grid are left out. So a truth has up to 3 * A positives a level, on several levels.
    Source: YOLOv5's build_targets, as described in its documentation (cross-grid matching).
    """
    rows, cols = grid
    factor = truths[:, None, 4:] / anchors  # (T, A, 2)
    fits = torch.maximum(factor, 1 / factor).amax(-1) < ratio_max  # (T, A)

    centre = truths[:, 2:4] / stride  # (T, 2) x, y in cells
    home = centre.floor()
    toward = torch.where(centre - home < 0.5, -1.0, 1.0)
    step = toward.new_tensor([[0, 0], [1, 0], [0, 1]] if neighbours else [[0, 0]])
    cells = (home[:, None] + step * toward[:, None]).long()  # (T, 3 or 1, 2)
    inside = ((cells >= 0) & (cells < cells.new_tensor([cols, rows]))).all(-1)  # (T, 3)

    truth, anchor, which = torch.nonzero(fits[:, :, None] & inside[:, None], as_tuple=True)
    col, row = cells[truth, which].unbind(-1)
    return Positives(truths[truth, 0].long(), anchor, row, col, truth)


def match_best_anchor(
    truths: Tensor,
    anchors: Tensor,
    grids: list[tuple[int, int]],
    strides: tuple[int, ...],
    ignore_min: float = 0.5,
) -> list[tuple[Positives, Positives]]:
    """The one anchor of all levels whose shape fits a truth best, in the cell of its centre.

    anchors is (L, A, 2) in pixels. -> for each level, (positives, ignored). Ignored, that is neither object nor
    background, is every other prior, an anchor in the middle of any cell, whose IoU with a truth exceeds
    `ignore_min`: once for each such truth, and never where any truth has its positive.
    Source: Redmon and Farhadi, "YOLOv3", 2018, https://arxiv.org/abs/1804.02767, section 2.1. Differs: the best prior
    is sought in the centre's cell only and by shape, as in the authors' code; that code ignores by the predicted box.
    """
    levels, per_level, _ = anchors.shape
    extent = truths[:, None, 4:]  # (T, 1, 2)
    shared = torch.minimum(extent, anchors.reshape(-1, 2)).prod(-1)  # (T, L * A)
    overlap = shared / (extent.prod(-1) + anchors.reshape(-1, 2).prod(-1) - shared)
    best = torch.zeros_like(overlap, dtype=torch.bool)
    if len(truths):
        best[torch.arange(len(truths), device=truths.device), overlap.argmax(-1)] = True

    matches = []
    for level, (grid, stride) in enumerate(zip(grids, strides, strict=True)):
        rows, cols = grid
        truth, anchor = torch.nonzero(best.view(-1, levels, per_level)[:, level], as_tuple=True)
        col, row = (truths[truth, 2:4] / stride).long().unbind(-1)
        found = Positives(
            truths[truth, 0].long(), anchor, row.clamp(0, rows - 1), col.clamp(0, cols - 1), truth
        )
        near = overlapping_priors(truths, anchors[level], grid, stride, ignore_min)
        place, taken = (
            ((p.image * per_level + p.anchor) * rows + p.row) * cols + p.col for p in (near, found)
        )
        free = ~torch.isin(place, taken)
        matches.append((found, Positives(*(column[free] for column in near))))
    return matches


def overlapping_priors(
    truths: Tensor, anchors: Tensor, grid: tuple[int, int], stride: int, iou_min: float
) -> Positives:
    """Every anchor in the middle of a cell with every truth of which its IoU exceeds `iou_min`, which is above 0.

    anchors is (A, 2) in pixels, grid the level's (rows, cols). Centres of an overlap above m are nearer to each other
    than (1 - m) / 2m of the anchor's side, on both axes, so a window of cells about the truth's centre is all to try.
    """
    rows, cols = grid
    reach = anchors.amax(0) * (1 - iou_min) / (2 * iou_min) / stride + 0.5  # (2,) cells
    across, down = (torch.arange(-n, n + 1, device=truths.device) for n in reach.long().tolist())
    window = torch.cartesian_prod(across, down)  # (W, 2) x, y

    same_centre = torch.minimum(truths[:, None, 4:], anchors).prod(
        -1
    )  # (T, A); apart, pairs share less
    either = truths[:, None, 4:].prod(-1) + anchors.prod(-1) - same_centre
    truth, anchor = torch.nonzero(same_centre / either > iou_min, as_tuple=True)  # (K,)

    centre, extent, side = (
        truths[truth, None, 2:4],
        truths[truth, None, 4:],
        anchors[anchor, None],
    )  # (K, 1, 2)
    cells = (centre / stride).floor() + window  # (K, W, 2)
    inside = ((cells >= 0) & (cells < cells.new_tensor([cols, rows]))).all(-1)
    apart = ((cells + 0.5) * stride - centre).abs()
    shared = (
        torch.minimum(torch.minimum(extent, side), (extent + side) / 2 - apart)
        .clamp(min=0)
        .prod(-1)
    )
    overlap = shared / (extent.prod(-1) + side.prod(-1) - shared)
    pair, which = torch.nonzero(inside & (overlap > iou_min), as_tuple=True)
    col, row = cells[pair, which].long().unbind(-1)
    return Positives(truths[truth[pair], 0].long(), anchor[pair], row, col, truth[pair])
