"""Assignment: which anchors answer for which truth.

A network gives thousands of boxes, an image has a few truths. Before a loss can compare them, each
truth is assigned to some anchors of some cells: its positives. They learn its box and class; all
others learn to say "no object".

There are two rules. `match_by_ratio` (YOLOv5) takes every anchor of about the truth's size, in up
to three cells per level: many positives, so many gradients per truth. `match_best_anchor` (YOLOv3)
takes exactly one anchor in one cell.

An example for both. A level of 4 x 4 cells of stride 8, a truth 8 x 8 pixels centred at (10, 14).
In cells the centre is (10, 14) / 8 = (1.25, 1.75): its home is column 1, row 1.

           col 0   col 1   col 2   col 3
    row 0    .       .       .       .
    row 1    o       H       .       .     H is home. The centre lies in its left half (.25), so the
    row 2    .       o       .       .     left cell is near, and in its lower half (.75), so the
    row 3    .       .       .       .     cell below is near.

`match_by_ratio` takes H and both o for each anchor that fits, `match_best_anchor` takes H for the
anchor that fits best of all levels.

Truths are rows of one table (T, 6): image of the batch, label, then cx, cy, w, h in pixels of the
input.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from models.boxes import concentric_iou, displaced_iou, xyxy_to_cxcywh
from models.detector import Target

Grid = tuple[int, int]  # rows, columns of a level


class Positives(NamedTuple):
    """P pairs of an anchor and a truth on one level.

    The anchor that says `level[image, anchor, row, col]` answers for the truth `truths[truth]`.
    """

    image: Tensor  # (P,) int64, as all of them
    anchor: Tensor
    row: Tensor
    col: Tensor
    truth: Tensor

    @property
    def location(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """To index a level (B, A, rows, cols, ...)."""
        return self.image, self.anchor, self.row, self.col

    @property
    def cells(self) -> Tensor:
        """(P, 2) column and row, as x and y."""
        return torch.stack([self.col, self.row], -1)


def stack_truths(targets: list[Target]) -> Tensor:
    """All truths of a batch in one table. -> (T, 6) float32: image, label, cx, cy, w, h."""
    image = torch.cat([torch.full_like(labels, i) for i, (labels, _) in enumerate(targets)])
    label = torch.cat([labels for labels, _ in targets])
    xyxy = torch.cat([boxes for _, boxes in targets]).float()
    return torch.cat([image[:, None], label[:, None], xyxy_to_cxcywh(xyxy)], 1)


def fits_by_ratio(sizes: Tensor, anchors: Tensor, ratio_max: float) -> Tensor:
    """(T, A) bool: neither side of a size (T, 2) and an anchor (A, 2) differs by `ratio_max`."""
    factor = sizes[:, None] / anchors  # (T, A, 2)
    return torch.maximum(factor, 1 / factor).amax(-1) < ratio_max


def match_by_ratio(
    truths: Tensor,
    anchors: Tensor,
    grid: Grid,
    stride: int,
    ratio_max: float,
    neighbours: bool = True,
) -> Positives:
    """Every anchor of about the truth's size, in its home cell and in the two nearest `neighbours`.

    anchors (A, 2) are pixels. An anchor fits when neither side differs by a factor of `ratio_max`
    or more: against an anchor 10 x 10 and a factor of 4, 30 x 5 fits and 30 x 2 does not. Near
    cells outside the grid are left out. So a truth has up to 3 * A positives per level, on several
    levels, or none where its shape fits no anchor.
    Source: https://docs.ultralytics.com/yolov5/tutorials/architecture_description, "Build targets".
    """
    rows, cols = grid

    # 1. Anchors by size.
    fits = fits_by_ratio(truths[:, 4:], anchors, ratio_max)  # (T, A)

    # 2. Cells by distance: home, and a step along x or along y towards the nearer edge of home.
    centre = truths[:, 2:4] / stride  # (T, 2) x, y in cells
    home = centre.floor()
    toward = torch.where(centre - home < 0.5, -1.0, 1.0)  # (T, 2)
    steps = toward.new_tensor([[0, 0], [1, 0], [0, 1]] if neighbours else [[0, 0]])
    cells = (home[:, None] + steps * toward[:, None]).long()  # (T, 3 or 1, 2)
    inside = ((cells >= 0) & (cells < cells.new_tensor([cols, rows]))).all(-1)  # (T, 3 or 1)

    # 3. Every fitting anchor in every such cell.
    truth, anchor, step = torch.nonzero(fits[:, :, None] & inside[:, None], as_tuple=True)
    col, row = cells[truth, step].unbind(-1)
    return Positives(truths[truth, 0].long(), anchor, row, col, truth)


def match_best_anchor(
    truths: Tensor,
    anchors: Tensor,
    grids: list[Grid],
    strides: tuple[int, ...],
    ignore_min: float = 0.5,
) -> list[tuple[Positives, Positives]]:
    """The one anchor of all levels whose shape fits a truth best, in its home cell.

    anchors (levels, A, 2) are pixels. -> (positives, ignored) per level. A prior is an anchor in
    the middle of a cell. Ignored, neither object nor background, is every prior whose IoU with a
    truth exceeds `ignore_min` and that is no truth's positive: it shows an object and is not wrong
    to say so. It is listed once per such truth.
    Source: Redmon and Farhadi, "YOLOv3", 2018, https://arxiv.org/abs/1804.02767, section 2.1.
    Differs: the best prior is sought in the home cell only and by shape, as in the authors' code;
    that code ignores by the predicted box.
    """
    levels, per_level, _ = anchors.shape

    # 1. The best anchor of each truth, by shape.
    overlap = concentric_iou(truths[:, None, 4:], anchors.reshape(-1, 2))  # (T, levels * A)
    best = torch.zeros_like(overlap, dtype=torch.bool)
    if len(truths):
        best[torch.arange(len(truths), device=truths.device), overlap.argmax(-1)] = True
    best = best.view(-1, levels, per_level)

    matches = []
    for level, (grid, stride) in enumerate(zip(grids, strides, strict=True)):
        # 2. Its positive: that anchor in the home cell. The far edge belongs to the last cell.
        truth, anchor = torch.nonzero(best[:, level], as_tuple=True)  # (P,)
        col, row = (truths[truth, 2:4] / stride).long().unbind(-1)
        row, col = row.clamp(0, grid[0] - 1), col.clamp(0, grid[1] - 1)
        positives = Positives(truths[truth, 0].long(), anchor, row, col, truth)

        # 3. What overlaps a truth and is nobody's positive.
        near = overlapping_priors(truths, anchors[level], grid, stride, ignore_min)
        free = ~torch.isin(_flat(near, per_level, grid), _flat(positives, per_level, grid))
        matches.append((positives, Positives(*(column[free] for column in near))))
    return matches


def _flat(positives: Positives, per_cell: int, grid: Grid) -> Tensor:
    """(P,) one number per location: its index in a flattened level (B, A, rows, cols)."""
    rows, cols = grid
    plane = positives.image * per_cell + positives.anchor
    return (plane * rows + positives.row) * cols + positives.col


def overlapping_priors(
    truths: Tensor, anchors: Tensor, grid: Grid, stride: int, iou_min: float
) -> Positives:
    """Every prior with every truth of which its IoU exceeds `iou_min`, which is above 0.

    A prior is an anchor in the middle of a cell.

    Trying all priors with all truths would take a table of millions. Two bounds leave few to try:

    1. Shape. Apart, boxes share at most what they share when concentric: a pair whose concentric
       IoU is too low is out.
    2. Distance. Where IoU exceeds m, the centres lie nearer than (1 - m) / 2m of the anchor's side,
       on both axes. For m = .5 that is half the side: a prior 64 x 8 at stride 8 reaches 4 cells
       sideways and none (half) up or down. Counted from the home cell's middle, the centre itself
       may be half a cell off: 4.5 and 1 cells.

    anchors (A, 2) are pixels.
    """
    rows, cols = grid

    # 1. Pairs that may overlap enough.
    alike = concentric_iou(truths[:, None, 4:], anchors) > iou_min  # (T, A)
    truth, anchor = torch.nonzero(alike, as_tuple=True)  # (K,)

    # 2. The window of cells about home in which they may.
    reach = anchors.amax(0) * (1 - iou_min) / (2 * iou_min) / stride + 0.5  # (2,) cells
    across, down = (torch.arange(-n, n + 1, device=truths.device) for n in reach.long().tolist())
    window = torch.cartesian_prod(across, down)  # (W, 2) x, y
    centre = truths[truth, None, 2:4]  # (K, 1, 2)
    cells = (centre / stride).floor() + window  # (K, W, 2)
    inside = ((cells >= 0) & (cells < cells.new_tensor([cols, rows]))).all(-1)  # (K, W)

    # 3. Their IoU, exactly.
    apart = ((cells + 0.5) * stride - centre).abs()  # (K, W, 2)
    overlap = displaced_iou(truths[truth, None, 4:], anchors[anchor, None], apart)  # (K, W)
    pair, cell = torch.nonzero(inside & (overlap > iou_min), as_tuple=True)
    col, row = cells[pair, cell].long().unbind(-1)
    return Positives(truths[truth[pair], 0].long(), anchor[pair], row, col, truth[pair])
