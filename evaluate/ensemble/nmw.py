"""Non-maximum weighted: the best box of a thing, moved by those that overlap it.

NMS keeps the best box as it is. NMW keeps its score, but lets the boxes that NMS would drop pull
at its corners, the more the surer they are and the more they overlap it. A group, the rows of one
image and class, is walked from the best row down:

1. a row joins the best row that it overlaps most, if by more than `iou_max`; else it is one itself
2. it votes for its own corners with score times IoU with that best row (1 for the best row itself)
3. the box is the mean of its rows by these votes, with the score of the best

(0, 0, 10, 10) scored 0.8 and (0, 0, 10, 8) scored 0.4 have IoU 0.8, so the votes are 0.8 and
0.4 * 0.8 = 0.32, and y2 = (0.8 * 10 + 0.32 * 8) / 1.12 = 9.43, with score 0.8.

Unlike a box of WBF, a best row stays where it is while others join it.
"""

from evaluate.ensemble.wbf import FusedBoxes
from evaluate.loops import Kernels
from evaluate.tables import Array

kernel = Kernels("evaluate.ensemble.nmw_kernel")


def nmw(xyxy: Array, score: Array, edges: Array, iou_max: float) -> FusedBoxes:
    """The boxes of each group of rows, which come best first; takes and gives what `wbf` does.

    Source: Zhou et al., "CAD: Scale Invariant Framework for Real-Time Object Detection", 2017, as
    ensemble-boxes 1.0.9 has it. Differs: sums are float64, and a box of one row is that row.
    """
    fused: FusedBoxes = kernel.walk_nmw(xyxy, score, edges, iou_max)
    return fused
