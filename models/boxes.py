"""Box arithmetic on tensors: formats, overlaps, and codes that turn logits into boxes.

Two formats occur: xyxy is (left, top, right, bottom), cxcywh is (centre x, centre y, width,
height), both in pixels of the input unless a name says otherwise. Whole boxes are tensors (..., 4);
a size is (..., 2), width and height.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

# (logits (..., 4), cells (..., 2) as column and row, anchors (..., 2), stride) -> cxcywh (..., 4)
BoxCode = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def cxcywh_to_xyxy(cxcywh: Tensor) -> Tensor:
    """(..., 4) -> (..., 4)."""
    half = cxcywh[..., 2:] / 2
    return torch.cat([cxcywh[..., :2] - half, cxcywh[..., :2] + half], -1)


def xyxy_to_cxcywh(xyxy: Tensor) -> Tensor:
    """(..., 4) -> (..., 4)."""
    low, high = xyxy[..., :2], xyxy[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def cell_grid(rows: int, cols: int, device: torch.device) -> Tensor:
    """The column and the row of every cell. -> (rows, cols, 2) int64, as x and y."""
    row, col = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(cols, device=device), indexing="ij"
    )
    return torch.stack([col, row], -1)


# Overlaps


def concentric_iou(a_wh: Tensor, b_wh: Tensor) -> Tensor:
    """IoU of boxes that share their centre: only sizes count. (..., 2), (..., 2) -> (...)."""
    return _ratio(torch.minimum(a_wh, b_wh).prod(-1), a_wh, b_wh)


def displaced_iou(a_wh: Tensor, b_wh: Tensor, apart: Tensor) -> Tensor:
    """IoU of boxes whose centres lie `apart` (..., 2) >= 0 along x and y.

    (..., 2), (..., 2) -> (...).

    Along one axis two sides share (a + b) / 2 - apart, but never more
    than the shorter side and never less than 0: sides of 8 and 4 share 4 while their middles are up
    to 2 apart, then 6 - apart, and nothing from 6 on.
    """
    shared = torch.minimum(torch.minimum(a_wh, b_wh), (a_wh + b_wh) / 2 - apart).clamp(min=0)
    return _ratio(shared.prod(-1), a_wh, b_wh)


def _ratio(shared: Tensor, a_wh: Tensor, b_wh: Tensor) -> Tensor:
    return shared / (a_wh.prod(-1) + b_wh.prod(-1) - shared)


def ciou(a_cxcywh: Tensor, b_cxcywh: Tensor) -> tuple[Tensor, Tensor]:
    """IoU (P,) and complete IoU (P,) of each box (P, 4) with the one in the same row (P, 4).

    IoU says nothing about boxes that do not touch, and nothing about how two boxes overlap.
    Complete IoU does:

        CIoU = IoU - d^2 / c^2 - alpha * v

    1. IoU, the shared area over the area of the union.
    2. d^2 / c^2: the squared distance of the centres over the squared diagonal of the hull, the
       smallest box that holds both. Boxes 2 x 2 with centres at x = 1 and x = 7: d = 6, hull 8 x 2,
       so 36 / 68.
    3. alpha * v: v = 4 / pi^2 * (atan(w_a / h_a) - atan(w_b / h_b))^2 is 0 for sides in the same
       proportion and at most 1; alpha = v / (1 - IoU + v) makes the proportion count more the
       better the boxes overlap. Concentric boxes 4 x 2 and 2 x 4: IoU 4 / 12, v = .168, alpha =
       .201. alpha is a weight, no gradient flows through it.

    CIoU is 1 for equal boxes and falls to -1.5 or so for distant ones. 1e-9 keeps boxes without
    area from 0 / 0.
    Source: Zheng et al., "Distance-IoU Loss", 2020, https://arxiv.org/abs/1911.08287, eq. 8 to 11.
    """
    a_wh, b_wh = a_cxcywh[:, 2:], b_cxcywh[:, 2:]
    a_low, a_high = a_cxcywh[:, :2] - a_wh / 2, a_cxcywh[:, :2] + a_wh / 2  # (P, 2) each
    b_low, b_high = b_cxcywh[:, :2] - b_wh / 2, b_cxcywh[:, :2] + b_wh / 2

    # 1. Overlap.
    shared = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(-1)
    iou = shared / (a_wh.prod(-1) + b_wh.prod(-1) - shared + 1e-9)

    # 2. Distance.
    hull = torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)
    between = (a_cxcywh[:, :2] - b_cxcywh[:, :2]).square().sum(-1)
    distance = between / (hull.square().sum(-1) + 1e-9)

    # 3. Proportions.
    a_angle, b_angle = torch.atan2(a_wh[:, 0], a_wh[:, 1]), torch.atan2(b_wh[:, 0], b_wh[:, 1])
    shape = 4 / math.pi**2 * (a_angle - b_angle).square()
    with torch.no_grad():
        alpha = shape / (1 - iou + shape + 1e-9)
    return iou, iou - distance - alpha * shape


# Box codes: what four logits (tx, ty, tw, th) mean in a cell, with an anchor. Both decode zeros to
# the anchor, centred in its cell. An example for both: stride 16, column 3, anchor 10 pixels wide;
# sigmoid(2) = .881.


def decode_exp(logits: Tensor, cells: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """The box code of YOLOv2 and YOLOv3. logits (..., 4) -> cxcywh (..., 4) pixels.

        x = (sigmoid(tx) + column) * stride     tx = 2: (.881 + 3) * 16 = 62.1 (cell 48 to 64)
        w = exp(tw) * anchor width              tw = 2: 7.39 * 10 = 73.9

    So a centre stays inside its cell and a side has no upper bound.
    Source: Redmon and Farhadi, "YOLO9000", 2016, https://arxiv.org/abs/1612.08242, section 2,
    figure 3.
    Differs: exp is capped at e^8, three thousand times the anchor, as an untrained network must not
    reach infinity.
    """
    centre = (logits[..., :2].sigmoid() + cells) * stride
    return torch.cat([centre, logits[..., 2:].clamp(max=8).exp() * anchors], -1)


def decode_sigmoid(logits: Tensor, cells: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """The box code of YOLOv5. logits (..., 4) -> cxcywh (..., 4) pixels.

        x = (2 sigmoid(tx) - 0.5 + column) * stride     tx = 2: (1.262 + 3) * 16 = 68.2
        w = (2 sigmoid(tw))^2 * anchor width            tw = 2: 1.762^2 * 10 = 31.0

    So a centre may lie half a cell outside its cell, which is why neighbouring cells can be
    positives too, and lies on the cell's edge at a finite tx. A side is at most 4 anchors, which is
    why an anchor matches within a factor of 4.
    Source: https://docs.ultralytics.com/yolov5/tutorials/architecture_description,
    "Eliminate grid sensitivity".
    """
    t = logits.sigmoid()
    centre = (2 * t[..., :2] - 0.5 + cells) * stride
    return torch.cat([centre, (2 * t[..., 2:]).square() * anchors], -1)
