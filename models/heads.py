"""Anchor heads: the last layer of YOLOv3, YOLOv5 and the tuned YOLOv1, the box codes, and reading what comes out.

Raw output is a list of levels (B, A, rows, cols, 5 + C): tx, ty, tw, th, objectness and C class logits.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Anchors = Sequence[
    Sequence[tuple[float, float]]
]  # (levels, A) of width, height in pixels of the input
BoxCode = Callable[
    [Tensor, Tensor, Tensor, int], Tensor
]  # logits, cells as x, y, anchors, stride -> cxcywh pixels

# What YOLOv3 and YOLOv5 share.
STRIDES = (8, 16, 32)
ANCHORS = (  # width, height in pixels at 640, three a level
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)


class Heads(nn.Module):
    """One 1x1 convolution a level. (B, c, H, W) a level -> (B, A, H, W, 5 + C) a level, float32 under any autocast.

    float32 matters: at 640 pixels bfloat16 tells box edges apart in steps of 4 pixels. `rare` starts objectness at
    about 8 objects on a 640-pixel image; the reports' squared error of its sigmoid would hardly move from there.
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        anchors: Anchors,
        strides: Sequence[int],
        *,
        rare: bool = True,
    ):
        super().__init__()
        per_cell = len(anchors[0])
        self.strides, self.outputs = tuple(strides), 5 + num_classes
        self.m = nn.ModuleList(nn.Conv2d(c, per_cell * self.outputs, 1) for c in channels)
        self.anchors: (
            Tensor  # (levels, A, 2) in cells of each level, as YOLOv5's checkpoints keep them
        )
        self.register_buffer(
            "anchors", torch.tensor(anchors) / torch.tensor(self.strides)[:, None, None]
        )
        with torch.no_grad():
            for head, stride in zip(self.m, self.strides, strict=True):
                assert isinstance(head, nn.Conv2d) and head.bias is not None
                bias = head.bias.view(per_cell, -1)
                bias[:, 4] = bias[:, 4] + math.log(8 / (640 / stride) ** 2) if rare else 0.0
                bias[:, 5:] += math.log(
                    0.6 / (num_classes - 0.99999)
                )  # classes about equally likely

    @property
    def anchors_px(self) -> Tensor:
        """(levels, A, 2) width, height in pixels of the input."""
        return (
            self.anchors.float()
            * torch.tensor(self.strides, device=self.anchors.device)[:, None, None]
        )

    def class_rows(self, prefix: str) -> dict[str, int]:
        """What `Detector.class_rows` says of heads whose state names start with `prefix`."""
        per_cell = self.anchors.shape[1]
        return {
            f"{prefix}m.{i}.{kind}": per_cell
            for i in range(len(self.m))
            for kind in ("weight", "bias")
        }

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        with torch.autocast(features[0].device.type, enabled=False):
            maps = [head(x.float()) for head, x in zip(self.m, features, strict=True)]
        return [m.unflatten(1, (-1, self.outputs)).permute(0, 1, 3, 4, 2) for m in maps]

    def decode(self, raw: list[Tensor], code: BoxCode, *, one_class: bool) -> tuple[Tensor, Tensor]:
        """raw -> boxes (B, N, 4) xyxy pixels of the input; scores (B, N, C). N counts all anchors of all cells.

        Score = objectness * class, classes by softmax where a box has `one_class`, else each by its own sigmoid.
        """
        boxes, scores = [], []
        for level, anchors, stride in zip(raw, self.anchors_px, self.strides, strict=True):
            rows, cols = level.shape[2:4]
            ranges = (torch.arange(n, device=level.device) for n in (rows, cols))
            row, col = torch.meshgrid(*ranges, indexing="ij")
            cells = torch.stack([col, row], -1)  # (rows, cols, 2)
            cxcywh = code(level[..., :4], cells, anchors[:, None, None], stride)
            half = cxcywh[..., 2:] / 2
            boxes.append(
                torch.cat([cxcywh[..., :2] - half, cxcywh[..., :2] + half], -1).flatten(1, 3)
            )
            cls = level[..., 5:].softmax(-1) if one_class else level[..., 5:].sigmoid()
            scores.append((level[..., 4:5].sigmoid() * cls).flatten(1, 3))
        return torch.cat(boxes, 1), torch.cat(scores, 1)


def decode_exp(logits: Tensor, cells: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """YOLOv2/v3 box code: (..., 4) logits -> cxcywh pixels. xy = (sigmoid(t) + cell) * stride, wh = exp(t) * anchor.

    exp is capped at e^8, three thousand times the anchor: an untrained network must not reach infinity.
    """
    centre = (logits[..., :2].sigmoid() + cells) * stride
    return torch.cat([centre, logits[..., 2:].clamp(max=8).exp() * anchors], -1)


def decode_sigmoid(logits: Tensor, cells: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """YOLOv5 box code: (..., 4) logits -> cxcywh pixels.

    xy = (2 sigmoid(t) - 0.5 + cell) * stride, wh = (2 sigmoid(t))^2 * anchor: a centre may lie half a cell outside
    its cell, a side is at most 4 anchors.
    """
    t = logits.sigmoid()
    centre = (2 * t[..., :2] - 0.5 + cells) * stride
    return torch.cat([centre, (2 * t[..., 2:]).square() * anchors], -1)
