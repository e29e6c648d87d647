"""What training minimises: the losses of anchor heads. models/heads.py says what raw output holds."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.assign import match_best_anchor, match_by_ratio, stack_truths
from models.detector import Target
from models.heads import BoxCode, decode_exp


@dataclass(frozen=True)
class Gains:
    """Weights of the tuned loss's parts."""

    box: float = 0.05
    object: float = 1.0  # at 640 x 640; falls with the number of cells on smaller inputs
    cls: float = 0.5  # at 80 classes; proportional to their number
    ratio_max: float = 4.0  # an anchor fits a truth within this factor on both sides
    balance: tuple[float, ...] = (
        4.0,
        1.0,
        0.4,
    )  # objectness weight of P3, P4, P5: small objects count more


def ciou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(P, 4), (P, 4) cxcywh -> IoU (P,) and complete IoU (P,), which also falls with distance and with shape.

    Source: Zheng et al., "Distance-IoU Loss", 2020, https://arxiv.org/abs/1911.08287, eq. 7 to 10.
    """
    low_a, high_a = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    low_b, high_b = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    shared = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(min=0).prod(-1)
    iou = shared / (a[:, 2:].prod(-1) + b[:, 2:].prod(-1) - shared + 1e-9)
    hull = torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)
    distance = (a[:, :2] - b[:, :2]).square().sum(-1) / (hull.square().sum(-1) + 1e-9)
    angle_a, angle_b = torch.atan2(a[:, 2], a[:, 3]), torch.atan2(b[:, 2], b[:, 3])
    shape = 4 / math.pi**2 * (angle_a - angle_b).square()
    with torch.no_grad():
        alpha = shape / (1 - iou + shape + 1e-9)
    return iou, iou - distance - alpha * shape


def tuned_loss(
    raw: list[Tensor],
    targets: list[Target],
    code: BoxCode,
    anchors: Tensor,
    strides: tuple[int, ...],
    gains: Gains,
    *,
    neighbours: bool = True,
) -> dict[str, Tensor]:
    """CIoU for boxes, BCE of objectness to the (detached) IoU, BCE for classes, several positives a truth.

    `neighbours` also lets the two cells nearest to the centre answer, for a box `code` that reaches outside its cell.
    """
    truths = stack_truths(targets)
    batch, _, rows, cols, channels = raw[0].shape
    num_classes = channels - 5
    size_factor = rows * cols * strides[0] ** 2 / 640**2
    box, objectness, cls = (raw[0].new_zeros(()) for _ in range(3))
    for level, anchor, stride, balance in zip(raw, anchors, strides, gains.balance, strict=True):
        found = match_by_ratio(
            truths, anchor, (level.shape[2], level.shape[3]), stride, gains.ratio_max, neighbours
        )
        wanted = level.new_zeros(level.shape[:4])
        if len(found.truth):
            mine = level[found.at]  # (P, 5 + C)
            cells = torch.stack([found.col, found.row], -1)
            iou, complete = ciou(
                code(mine[:, :4], cells, anchor[found.anchor], stride), truths[found.truth, 2:]
            )
            box = box + (1 - complete).mean()
            # Where two truths share a place, the better overlap is asked of it.
            place = torch.arange(wanted.numel(), device=wanted.device).view_as(wanted)[found.at]
            wanted.view(-1).scatter_reduce_(0, place, iou.detach().clamp(0, 1), "amax")
            one_hot = F.one_hot(truths[found.truth, 1].long(), num_classes).to(mine)
            cls = cls + F.binary_cross_entropy_with_logits(mine[:, 5:], one_hot)
        objectness = objectness + balance * F.binary_cross_entropy_with_logits(
            level[..., 4], wanted
        )
    return {
        "box": gains.box * batch * box,
        "object": gains.object * size_factor * batch * objectness,
        "class": gains.cls * num_classes / 80 * batch * cls,
    }


def report_loss(
    raw: list[Tensor],
    targets: list[Target],
    anchors: Tensor,
    strides: tuple[int, ...],
    balance: tuple[float, ...],
) -> dict[str, Tensor]:
    """The study reports' four parts, summed over levels: class, no_object (x 10), object, box (x 2.5).

    class is a cross-entropy over the C logits; no_object a BCE to 0 over the places that answer for nothing;
    object the squared error of sigmoid(objectness) to the IoU of the decoded box with its truth; box the squared
    error of sigmoid(tx, ty) to the place in the cell and of tw, th to log(truth / anchor). `balance` weighs the two
    objectness parts of each level.
    """
    truths = stack_truths(targets)
    grids = [(level.shape[2], level.shape[3]) for level in raw]
    zero = raw[0].new_zeros(())
    parts = {"class": zero, "no_object": zero, "object": zero, "box": zero}
    matches = match_best_anchor(truths, anchors, grids, strides)
    for level, anchor, stride, weight, (found, ignored) in zip(
        raw, anchors, strides, balance, matches, strict=True
    ):
        background = torch.ones_like(level[..., 4], dtype=torch.bool)
        background[ignored.at] = False
        background[found.at] = False
        idle = level[..., 4][background]
        no_object = F.binary_cross_entropy_with_logits(idle, torch.zeros_like(idle))
        parts["no_object"] = parts["no_object"] + 10 * weight * no_object
        if not len(found.truth):
            continue
        mine, truth = level[found.at], truths[found.truth]
        cells = torch.stack([found.col, found.row], -1)
        with torch.no_grad():
            iou, _ = ciou(
                decode_exp(mine[:, :4], cells, anchor[found.anchor], stride), truth[:, 2:]
            )
        centre = mine[:, :2].sigmoid() - (truth[:, 2:4] / stride - cells)
        extent = mine[:, 2:4] - torch.log(truth[:, 4:] / anchor[found.anchor] + 1e-16)
        parts["object"] = parts["object"] + weight * (mine[:, 4].sigmoid() - iou).square().mean()
        parts["box"] = parts["box"] + 2.5 * torch.cat([centre, extent], 1).square().mean()
        parts["class"] = parts["class"] + F.cross_entropy(mine[:, 5:], truth[:, 1].long())
    return parts
