"""Soft-NMS: a box that overlaps a better one keeps a part of its score.

NMS drops a box that overlaps a better one by more than a threshold, also where two things stand
close together. Soft-NMS only lowers its score, the more the more it overlaps:

1. take the best box that is left
2. lower the score of each other box that is left by its IoU with that one
3. repeat, until none is left

With linear decay at iou_max 0.55, boxes of scores 0.9 and 0.8 with an IoU of 0.9 end with 0.9 and
0.8 * (1 - 0.9) = 0.08.
"""

from evaluate.ensemble.rule import Decay
from evaluate.loops import Kernels
from evaluate.tables import Array

kernel = Kernels("evaluate.ensemble.soft_nms_kernel")


def soft_nms(
    xyxy: Array, score: Array, edges: Array, iou_max: float, decay: Decay, sigma: float
) -> Array:
    """The decayed scores (N,) float64 of rows in groups, each group best first.

    xyxy (N, 4) float32; score (N,) float64; edges (G + 1,) of the groups. A score is multiplied:

    * linear: by 1 - IoU, where the IoU is above `iou_max`
    * gaussian: by exp(-IoU^2 / sigma), at any IoU

    Of equal scores the first row is taken first.

    Source: Bodla et al., https://arxiv.org/abs/1704.04503. Differs from ensemble-boxes 1.0.9, which
    takes rows in this order and returns the scores they had before.
    """
    decayed = score.copy()
    kernel.soften(edges, iou_max, sigma if decay == "gaussian" else 0.0, xyxy, decayed)
    return decayed
