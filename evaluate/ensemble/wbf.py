"""Weighted boxes fusion: boxes of one thing become their mean.

Every detector puts a box of its own around a thing. NMS keeps the best of them and drops the rest;
WBF takes them all as votes. Each group, the rows of one image and class, is walked from the best
row down:

1. a row joins the fused box that it overlaps most, if by more than `iou_max`; else it starts one
2. the box moves at once: it is the mean of its rows, weighted by their scores
3. in the end a box scores the mean of its rows' scores, less where models saw nothing

Two models of weight 1, `iou_max` 0.55. The first sees (0, 0, 10, 10) with 0.8, the second
(0, 0, 10, 8) with 0.4 and (30, 30, 40, 40) with 0.6. Best first:

    0.8 starts a box; 0.6 overlaps nothing and starts another
    0.4 overlaps the first by IoU 0.8 and joins: y2 = (0.8 * 10 + 0.4 * 8) / 1.2 = 9.33
    scores ("avg"): (0.8 + 0.4) / 2 = 0.6, and 0.6 * 1 / 2 = 0.3, which one of two models saw

Because a box moves as rows join it, the order of rows decides what joins. Ours is canonical: by
score, and of equal scores by table, then by box (`rank_pool`), so that the same tables always give
the same boxes, however their rows are sorted. Everything else is the arithmetic of the package
ensemble-boxes, whose results it equals to the bit where no scores are equal.
"""

from evaluate.ensemble.rule import CONF_TYPES, ConfType
from evaluate.loops import Kernels
from evaluate.tables import Array

kernel = Kernels("evaluate.ensemble.wbf_kernel")

FusedBoxes = tuple[Array, Array, Array, Array]  # as `wbf` gives them


def wbf(
    xyxy: Array,
    score: Array,
    model: Array,
    label: Array,
    edges: Array,
    weight: Array,
    iou_max: float,
    conf_type: ConfType,
) -> FusedBoxes:
    """The fused boxes of each group of rows, which come best first.

    xyxy (N, 4) float32; score (N,) float64, already times its weight; model, label (N,);
    edges (G + 1,) of the groups; weight (M, C).

    -> boxes (N, 4) float32 and their scores (N,) float64: those of a group from the group's first
    place on, its other places mean nothing; how many boxes each group has (G,); and the place of
    the box that each row joined (N,).

    The score of a box of n rows, whose mean is s, where W is the sum of all models' weights:

    * avg: s * min(n, M) / W
    * max: the best row's, over the largest weight
    * box_and_model_avg: s * n / (weights of the n rows) * (weights of the models among them) / W
    * absent_model_aware_avg: s * n / (weights of the n rows and of the models not among them)

    Models of weight 0 in a class count nowhere.

    Source: Solovyev et al., https://arxiv.org/abs/1910.13302, and the package ensemble-boxes 1.0.9,
    whose arithmetic this follows to the bit, so the sums of a box are rounded to float32 after each
    row. Differs: equal scores have an order; a score above 1, which several rows of one heavy model
    give with avg, is 1; boxes without area stay, alone.
    """
    fused: FusedBoxes = kernel.walk_wbf(
        xyxy, score, model, label, edges, weight, iou_max, CONF_TYPES.index(conf_type)
    )
    return fused
