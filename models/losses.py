"""What training minimises: the two losses of anchor heads.

models/heads.py says what raw output holds. Both compare raw output with the truths at the
positives, the anchors that answer for a truth (models/assign.py), and teach all other anchors that
they hold no object. Both return named scalars, whose sum is the loss.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.assign import Positives, match_best_anchor, match_by_ratio, stack_truths
from models.boxes import BoxCode, ciou, decode_exp
from models.detector import Target
from models.gains import Gains


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
    """YOLOv5's loss: several positives per truth on every level, objectness that learns the IoU.

    With B images of H x W pixels, C classes, L levels l, and means over positives p or over all
    anchors a of a level:

        box     box_gain * B                      * 3 / L * sum_l mean_p (1 - CIoU_p)
        object  object_gain * B * H * W / 640^2   * 3 / L * sum_l balance_l
                                                              * mean_a BCE(object_a, IoU_a)
        class   class_gain * B * C / 80           * 3 / L * sum_l mean_pc BCE(class_pc, is it c?)

    The gains are meant for the three levels of YOLOv5. Each level adds a mean of its own, so 3 / L
    makes one level weigh as much as three: if the mean of 1 - CIoU is 0.6 on every level, box is
    0.05 * B * (0.6 + 0.6 + 0.6) with three levels and 0.05 * B * 3 * 0.6 with one.

    IoU_a is the overlap of the box that a positive says now with its truth, taken as a constant,
    and 0 for an anchor that answers for no truth: a score then says how well the box fits, not only
    that an object is there. anchors (levels, A, 2) are pixels. `neighbours` makes positives also of
    the two cells nearest to a truth's centre, for a box `code` that reaches outside its cell.
    Source: https://docs.ultralytics.com/yolov5/tutorials/architecture_description, "Compute
    losses".
    """
    truths = stack_truths(targets)  # (T, 6)
    batch, _, rows, cols, channels = raw[0].shape
    num_classes = channels - 5
    size_factor = rows * cols * strides[0] ** 2 / 640**2  # H * W / 640^2
    level_factor = 3 / len(raw)

    box, objectness, classes = (raw[0].new_zeros(()) for _ in range(3))
    for level, anchor, stride, balance in zip(raw, anchors, strides, gains.balance, strict=True):
        grid = level.shape[2], level.shape[3]
        positives = match_by_ratio(truths, anchor, grid, stride, gains.anchor_ratio_max, neighbours)
        iou_wanted = level.new_zeros(level.shape[:4])  # (B, A, rows, cols)
        if len(positives.truth):
            logits, truth = level[positives.location], truths[positives.truth]  # (P, 5 + C), (P, 6)
            cxcywh = code(logits[:, :4], positives.cells, anchor[positives.anchor], stride)
            iou, complete = ciou(cxcywh, truth[:, 2:])
            box = box + (1 - complete).mean()
            _put_highest(iou_wanted, positives, iou.detach().clamp(0, 1))
            one_hot = F.one_hot(truth[:, 1].long(), num_classes).to(logits)
            classes = classes + F.binary_cross_entropy_with_logits(logits[:, 5:], one_hot)
        bce = F.binary_cross_entropy_with_logits(level[..., 4], iou_wanted)
        objectness = objectness + balance * bce

    return {
        "box": gains.box_gain * level_factor * batch * box,
        "object": gains.object_gain * level_factor * size_factor * batch * objectness,
        "class": gains.class_gain * level_factor * num_classes / 80 * batch * classes,
    }


def _put_highest(level: Tensor, positives: Positives, values: Tensor) -> None:
    """Write values (P,) where the positives are; at an anchor with several truths the highest.

    `level[location] = values` would keep whichever value is written last, which on a GPU is by
    chance.
    """
    flat = torch.arange(level.numel(), device=level.device).view_as(level)[positives.location]
    level.view(-1).scatter_reduce_(0, flat, values, "amax")


def report_loss(
    raw: list[Tensor],
    targets: list[Target],
    anchors: Tensor,
    strides: tuple[int, ...],
    balance: tuple[float, ...],
) -> dict[str, Tensor]:
    """The study reports' loss for anchor heads: one positive per truth, four parts.

    With s = sigmoid, levels l, and means over the positives p or the background anchors n of a
    level:

        class      sum_l                      mean_p CE(class logits, class of the truth)
        no_object  sum_l 10 * balance_l     * mean_n BCE(objectness, 0)
        object     sum_l balance_l          * mean_p (s(objectness) - IoU)^2
        box        sum_l 2.5                * mean_p mean of (s(tx) - x)^2, (s(ty) - y)^2,
                                                (tw - log(w / aw))^2, (th - log(h / ah))^2

    x, y is where in its cell the truth's centre lies, from 0 to 1; w, h its size, aw, ah the
    anchor's: the box code of YOLOv3 backwards. IoU is that of the decoded box with the truth, a
    constant. An anchor that overlaps a truth without being its best is neither positive nor
    background. anchors (levels, A, 2) are pixels.
    """
    truths = stack_truths(targets)  # (T, 6)
    grids = [(level.shape[2], level.shape[3]) for level in raw]
    matches = match_best_anchor(truths, anchors, grids, strides)

    zero = raw[0].new_zeros(())
    parts = {"class": zero, "no_object": zero, "object": zero, "box": zero}
    for level, anchor, stride, weight, (positives, ignored) in zip(
        raw, anchors, strides, balance, matches, strict=True
    ):
        background = torch.ones_like(level[..., 4], dtype=torch.bool)  # (B, A, rows, cols)
        background[ignored.location] = False
        background[positives.location] = False
        idle = level[..., 4][background]  # (number of background anchors,)
        no_object = F.binary_cross_entropy_with_logits(idle, torch.zeros_like(idle))
        parts["no_object"] = parts["no_object"] + 10 * weight * no_object
        if not len(positives.truth):
            continue

        logits, truth = level[positives.location], truths[positives.truth]  # (P, 5 + C), (P, 6)
        sizes = anchor[positives.anchor]  # (P, 2)
        with torch.no_grad():
            iou, _ = ciou(decode_exp(logits[:, :4], positives.cells, sizes, stride), truth[:, 2:])
        centre = logits[:, :2].sigmoid() - (truth[:, 2:4] / stride - positives.cells)
        extent = logits[:, 2:4] - torch.log(truth[:, 4:] / sizes + 1e-16)
        object_error = logits[:, 4].sigmoid() - iou
        parts["object"] = parts["object"] + weight * object_error.square().mean()
        parts["box"] = parts["box"] + 2.5 * torch.cat([centre, extent], 1).square().mean()
        parts["class"] = parts["class"] + F.cross_entropy(logits[:, 5:], truth[:, 1].long())
    return parts
