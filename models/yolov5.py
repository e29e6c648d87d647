"""YOLOv5 n, s, m, l, x (v6/v7): CSP backbone, PAN neck, three anchor heads.

Source: the published layer table of YOLOv5 v6.0 (yolov5{n,s,m,l,x}.yaml). State names, shapes and anchors are its
checkpoints'. Differs: `head="report"` is the study reports' head on the same network: YOLOv3's box code and a softmax
over classes, trained with their four-part loss.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.blocks import C3, SPPF, Conv
from models.detector import Detector, Target
from models.heads import ANCHORS, STRIDES, Heads, decode_exp, decode_sigmoid
from models.losses import Gains, report_loss, tuned_loss

SIZES = {  # name: (depth, width) multiples of l
    "n": (0.33, 0.25),
    "s": (0.33, 0.50),
    "m": (0.67, 0.75),
    "l": (1.00, 1.00),
    "x": (1.33, 1.25),
}


class YoloV5(Detector):
    """Raw output: three levels (B, 3, H / stride, W / stride, 5 + C) of float32 logits."""

    stride_max = 32

    def __init__(
        self,
        size: str,
        classes: tuple[str, ...],
        head: Literal["tuned", "report"] = "tuned",
        gains: Gains | None = None,
    ):
        super().__init__()
        self.classes, self.head, self.gains = classes, head, gains or Gains()
        depth, width = SIZES[size]

        def c(channels: int) -> int:
            return math.ceil(channels * width / 8) * 8

        def n(repeats: int) -> int:
            return max(round(repeats * depth), 1)

        # The numbers are the rows of the layer table; rows without weights (upsample, concat) stand in `forward`.
        self.model = nn.ModuleDict(
            {
                "0": Conv(3, c(64), 6, 2, padding=2),
                "1": Conv(c(64), c(128), 3, 2),
                "2": C3(c(128), c(128), n(3)),
                "3": Conv(c(128), c(256), 3, 2),
                "4": C3(c(256), c(256), n(6)),
                "5": Conv(c(256), c(512), 3, 2),
                "6": C3(c(512), c(512), n(9)),
                "7": Conv(c(512), c(1024), 3, 2),
                "8": C3(c(1024), c(1024), n(3)),
                "9": SPPF(c(1024)),
                "10": Conv(c(1024), c(512)),
                "13": C3(2 * c(512), c(512), n(3), shortcut=False),
                "14": Conv(c(512), c(256)),
                "17": C3(2 * c(256), c(256), n(3), shortcut=False),
                "18": Conv(c(256), c(256), 3, 2),
                "20": C3(2 * c(256), c(512), n(3), shortcut=False),
                "21": Conv(c(512), c(512), 3, 2),
                "23": C3(2 * c(512), c(1024), n(3), shortcut=False),
                "24": Heads(
                    (c(256), c(512), c(1024)), len(classes), ANCHORS, STRIDES, rare=head == "tuned"
                ),
            }
        )

    @property
    def heads(self) -> Heads:
        heads = self.model["24"]
        assert isinstance(heads, Heads)
        return heads

    def forward(self, images: Tensor) -> list[Tensor]:
        m = self.model
        at8 = m["4"](m["3"](m["2"](m["1"](m["0"](images)))))
        at16 = m["6"](m["5"](at8))
        top = m["10"](m["9"](m["8"](m["7"](at16))))
        middle = m["14"](m["13"](torch.cat([F.interpolate(top, scale_factor=2.0), at16], 1)))
        p3 = m["17"](torch.cat([F.interpolate(middle, scale_factor=2.0), at8], 1))
        p4 = m["20"](torch.cat([m["18"](p3), middle], 1))
        p5 = m["23"](torch.cat([m["21"](p4), top], 1))
        raw: list[Tensor] = self.heads([p3, p4, p5])
        return raw

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """raw -> boxes (B, N, 4) xyxy pixels of the input; scores (B, N, C). N counts all anchors of all cells."""
        if self.head == "report":
            return self.heads.decode(raw, decode_exp, one_class=True)
        return self.heads.decode(raw, decode_sigmoid, one_class=False)

    def class_rows(self) -> dict[str, int]:
        return self.heads.class_rows("model.24.")

    def loss(self, raw: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """The tuned loss, or with `head="report"` the reports' (models/losses.py)."""
        anchors = self.heads.anchors_px
        if self.head == "report":
            return report_loss(raw, targets, anchors, STRIDES, self.gains.balance)
        return tuned_loss(raw, targets, decode_sigmoid, anchors, STRIDES, self.gains)
