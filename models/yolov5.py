"""YOLOv5 n, s, m, l, x (v6/v7): CSP backbone, PAN neck, three anchor heads.

Sizes differ in depth (repeats of a block) and width (channels); these are the channels of l, at
width 1. A number in brackets is the row of the layer table and the name of the layer in checkpoints
("model.17.cv1.conv.weight").

    backbone             neck, top down               neck, bottom up            head [24]
    [0..4]   stride 8    256 --- concat, 512 ------- [17] C3 256 ------------------ P3
                           |        up x 2              |
                           |     [14] 1x1 256 --+    [18] 3x3 / 2 256
                           |        |           |       |
    [5, 6]   stride 16   512 --- concat, 1024   +--- concat, 512 - [20] C3 512 ---- P4
                           |     [13] C3 512                          |
                           |        up x 2                            |
                           |     [10] 1x1 512 --+                  [21] 3x3 / 2 512
                           |        |           |                     |
    [7..9]   stride 32  1024 -------+           +---------------- concat, 1024 - [23] C3 1024 - P5

P3 sees small objects, P5 large ones. Top down, what the coarse level knows of the scene reaches the
fine ones (FPN); bottom up, the fine level's exact edges reach the coarse ones (PAN: Liu et al.,
2018, https://arxiv.org/abs/1803.01534).

Source: the published layer table of YOLOv5 v6.0 (yolov5{n,s,m,l,x}.yaml). State names, shapes and
anchors are its checkpoints'. Differs: the report head is the study reports' on the same network:
YOLOv3's box code and a softmax over classes, trained with their four-part loss.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import C3, SPPF, ConvBNSiLU
from models.detector import HeadedDetector
from models.gains import Gains
from models.heads import ANCHORS, STRIDES, ReportHead, TunedHead

SIZES = {  # name: (depth, width) multiples of l
    "n": (0.33, 0.25),
    "s": (0.33, 0.50),
    "m": (0.67, 0.75),
    "l": (1.00, 1.00),
    "x": (1.33, 1.25),
}
HEADS = {"tuned": TunedHead, "report": ReportHead}


class YoloV5(HeadedDetector):
    """Raw output: three levels (B, 3, H / stride, W / stride, 5 + C) of float32 logits."""

    stride_max = 32
    head_name = "model.24"

    def __init__(
        self,
        size: str,
        classes: tuple[str, ...],
        head: Literal["tuned", "report"] = "tuned",
        gains: Gains | None = None,
    ):
        super().__init__()
        self.classes = classes
        depth, width = SIZES[size]

        def c(channels: int) -> int:
            return math.ceil(channels * width / 8) * 8

        def n(repeats: int) -> int:
            return max(round(repeats * depth), 1)

        # Rows of the layer table; those without weights (upsample, concat) stand in `forward`.
        c3, c4, c5 = c(256), c(512), c(1024)
        self.model = nn.ModuleDict(
            {
                "0": ConvBNSiLU(3, c(64), 6, 2, padding=2),  # stride 2
                "1": ConvBNSiLU(c(64), c(128), 3, 2),  # 4
                "2": C3(c(128), c(128), n(3)),
                "3": ConvBNSiLU(c(128), c3, 3, 2),  # 8
                "4": C3(c3, c3, n(6)),
                "5": ConvBNSiLU(c3, c4, 3, 2),  # 16
                "6": C3(c4, c4, n(9)),
                "7": ConvBNSiLU(c4, c5, 3, 2),  # 32
                "8": C3(c5, c5, n(3)),
                "9": SPPF(c5),
                "10": ConvBNSiLU(c5, c4),
                "13": C3(2 * c4, c4, n(3), shortcut=False),
                "14": ConvBNSiLU(c4, c3),
                "17": C3(2 * c3, c3, n(3), shortcut=False),
                "18": ConvBNSiLU(c3, c3, 3, 2),
                "20": C3(2 * c3, c4, n(3), shortcut=False),
                "21": ConvBNSiLU(c4, c4, 3, 2),
                "23": C3(2 * c4, c5, n(3), shortcut=False),
            }
        )
        channels = (c3, c4, c5)
        self.model["24"] = HEADS[head](channels, len(classes), ANCHORS, STRIDES, gains or Gains())

    def forward(self, images: Tensor) -> list[Tensor]:
        m = self.model
        # Backbone.
        at8 = m["4"](m["3"](m["2"](m["1"](m["0"](images)))))
        at16 = m["6"](m["5"](at8))
        at32 = m["9"](m["8"](m["7"](at16)))
        # Top down.
        top = m["10"](at32)
        middle = m["14"](m["13"](torch.cat([F.interpolate(top, scale_factor=2.0), at16], 1)))
        p3 = m["17"](torch.cat([F.interpolate(middle, scale_factor=2.0), at8], 1))
        # Bottom up.
        p4 = m["20"](torch.cat([m["18"](p3), middle], 1))
        p5 = m["23"](torch.cat([m["21"](p4), top], 1))
        raw: list[Tensor] = self.head([p3, p4, p5])
        return raw
