"""Anchor heads: the last layer of YOLOv3, YOLOv5 and the tuned YOLOv1, and what its numbers mean.

Raw output is one tensor (B, A, rows, cols, 5 + C) of float32 logits per level, fine to coarse. In
each cell each of the A anchors says one box: tx, ty, tw, th, which a box code turns into pixels
(models/boxes.py), objectness, and C class logits. With 3 anchors at strides 8, 16 and 32, an input
of 640 x 640 gives 3 * (80^2 + 40^2 + 20^2) = 25,200.

    AnchorHead          the layer, its anchors, decoding
        TunedHead       a sigmoid per class; YOLOv5's or YOLOv3's box code; models.losses.tuned_loss
        ReportHead      a softmax over classes; YOLOv3's box code; models.losses.report_loss

Source: Redmon and Farhadi, "YOLOv3", 2018, https://arxiv.org/abs/1804.02767, section 2.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.boxes import BoxCode, cell_grid, cxcywh_to_xyxy, decode_exp, decode_sigmoid
from models.detector import Target
from models.gains import Gains
from models.losses import report_loss, tuned_loss

Anchors = Sequence[Sequence[tuple[float, float]]]  # (levels, A) of width, height in input pixels

# What YOLOv3 and YOLOv5 share. Anchors are width, height in pixels at 640, three per level.
STRIDES = (8, 16, 32)
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)


class AnchorHead(nn.Module):
    """One 1x1 convolution per level: (B, c, rows, cols) -> (B, A, rows, cols, 5 + C).

    Computes in float32 under any autocast: at 640 pixels bfloat16, with 8 significant bits, tells
    box edges apart in steps of 4 pixels. State names ("m.0.weight", "anchors") are those of
    YOLOv5's checkpoints.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        anchors: Anchors,
        strides: Sequence[int],
        gains: Gains,
    ):
        super().__init__()
        self.strides, self.gains = tuple(strides), gains
        self.outputs = 5 + num_classes
        self.m = nn.ModuleList(nn.Conv2d(c, len(anchors[0]) * self.outputs, 1) for c in channels)

        # (levels, A, 2) in cells of each level, as YOLOv5's checkpoints keep them.
        self.anchors: Tensor
        per_stride = torch.tensor(self.strides)[:, None, None]
        self.register_buffer("anchors", torch.tensor(anchors) / per_stride)

        with torch.no_grad():
            for layer, stride in zip(self.m, self.strides, strict=True):
                assert isinstance(layer, nn.Conv2d) and layer.bias is not None
                bias = layer.bias.view(len(anchors[0]), -1)  # (A, 5 + C)
                bias[:, 4] = self.first_objectness(bias[:, 4], stride)
                # Every class starts equally likely: sigmoid(log(.6 / (C - 1))) is about .6 / C.
                bias[:, 5:] += math.log(0.6 / (num_classes - 0.99999))

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        with torch.autocast(features[0].device.type, enabled=False):
            maps = [layer(x.float()) for layer, x in zip(self.m, features, strict=True)]
        # (B, A * (5 + C), rows, cols) -> (B, A, rows, cols, 5 + C)
        return [m.unflatten(1, (-1, self.outputs)).permute(0, 1, 3, 4, 2) for m in maps]

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """raw -> boxes (B, N, 4) xyxy input pixels; scores (B, N, C) = objectness * class."""
        boxes, scores = [], []
        for level, anchors, stride in zip(raw, self.anchors_px, self.strides, strict=True):
            cells = cell_grid(level.shape[2], level.shape[3], level.device)  # (rows, cols, 2)
            cxcywh = self.code(level[..., :4], cells, anchors[:, None, None], stride)
            boxes.append(cxcywh_to_xyxy(cxcywh).flatten(1, 3))
            classes = self.class_probabilities(level[..., 5:])
            scores.append((level[..., 4:5].sigmoid() * classes).flatten(1, 3))
        return torch.cat(boxes, 1), torch.cat(scores, 1)

    def class_rows(self) -> dict[str, int]:
        groups = self.anchors.shape[1]
        return {f"m.{i}.{kind}": groups for i in range(len(self.m)) for kind in ("weight", "bias")}

    @property
    def anchors_px(self) -> Tensor:
        """(levels, A, 2) width, height in pixels of the input."""
        strides = torch.tensor(self.strides, device=self.anchors.device)
        return self.anchors.float() * strides[:, None, None]

    # What the two heads decide.

    code: BoxCode

    def class_probabilities(self, logits: Tensor) -> Tensor:
        """(..., C) -> (..., C) in [0, 1]."""
        raise NotImplementedError

    def first_objectness(self, bias: Tensor, stride: int) -> Tensor | float:
        """The objectness bias (A,) of an untrained level, from the convolution's own random one."""
        raise NotImplementedError

    def loss(self, raw: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """As `Detector.loss`."""
        raise NotImplementedError


class TunedHead(AnchorHead):
    """YOLOv5's head: each class has a sigmoid of its own, the loss is `tuned_loss`."""

    code = staticmethod(decode_sigmoid)
    neighbours = True  # its boxes reach half a cell outside, so nearby cells can answer too

    def class_probabilities(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def first_objectness(self, bias: Tensor, stride: int) -> Tensor:
        """About 8 objects per 640-pixel image: background need not be learned first."""
        return bias + math.log(8 / (640 / stride) ** 2)

    def loss(self, raw: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        return tuned_loss(
            raw,
            targets,
            self.code,
            self.anchors_px,
            self.strides,
            self.gains,
            neighbours=self.neighbours,
        )


class TunedExpHead(TunedHead):
    """The tuned head with YOLOv3's box code, which is what the numbers of yolov3.weights mean."""

    code = staticmethod(decode_exp)
    neighbours = False  # a centre cannot leave its cell


class ReportHead(AnchorHead):
    """The study reports' head: a box has one class, by softmax; the loss is `report_loss`."""

    code = staticmethod(decode_exp)

    def class_probabilities(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def first_objectness(self, bias: Tensor, stride: int) -> float:
        """Even chances: the reports' squared error of a sigmoid would hardly move from near 0."""
        return 0.0

    def loss(self, raw: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        return report_loss(raw, targets, self.anchors_px, self.strides, self.gains.balance)
