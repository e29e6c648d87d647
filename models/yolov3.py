"""YOLOv3: DarkNet-53, a feature pyramid, three anchor heads.

Source: Redmon and Farhadi, "YOLOv3", 2018, https://arxiv.org/abs/1804.02767, and the layer table yolov3.cfg. Differs:
`head="report"` is the study reports' head: a softmax over classes, trained with their four-part loss; the tuned head
is the paper's, trained with a better loss.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.darknet import Conv, DarkNet53
from models.detector import Detector, Target
from models.heads import ANCHORS, STRIDES, Heads, decode_exp
from models.losses import Gains, report_loss, tuned_loss


class YoloV3(Detector):
    """Raw output: three levels (B, 3, H / stride, W / stride, 5 + C) of float32 logits.

    Both heads use the paper's box code. The tuned one gives each class its own sigmoid, which is what the numbers of
    yolov3.weights mean, and asks only the cell of a truth's centre: this code reaches no other.
    """

    stride_max = 32

    def __init__(
        self,
        classes: tuple[str, ...],
        head: Literal["tuned", "report"] = "tuned",
        gains: Gains | None = None,
    ):
        super().__init__()
        self.classes, self.head, self.gains = classes, head, gains or Gains(balance=(1.0, 1.0, 1.0))
        self.backbone = DarkNet53()
        channels = self.backbone.channels
        # Each list goes by level, fine to coarse; routes[i] leads from level i + 1 to level i.
        joined = [c + c // 2 for c in channels[:-1]] + [channels[-1]]
        self.branches = nn.ModuleList(
            _branch(c_in, c) for c_in, c in zip(joined, channels, strict=True)
        )
        self.tips = nn.ModuleList(Conv(c // 2, c, 3) for c in channels)
        self.routes = nn.ModuleList(Conv(c // 2, c // 4) for c in channels[1:])
        self.heads = Heads(channels, len(classes), ANCHORS, STRIDES, rare=head == "tuned")

    def forward(self, images: Tensor) -> list[Tensor]:
        at8, at16, at32 = self.backbone(images)
        coarse = self.branches[2](at32)
        middle = self.branches[1](
            torch.cat([F.interpolate(self.routes[1](coarse), scale_factor=2.0), at16], 1)
        )
        fine = self.branches[0](
            torch.cat([F.interpolate(self.routes[0](middle), scale_factor=2.0), at8], 1)
        )
        raw: list[Tensor] = self.heads(
            [tip(x) for tip, x in zip(self.tips, (fine, middle, coarse), strict=True)]
        )
        return raw

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """raw -> boxes (B, N, 4) xyxy pixels of the input; scores (B, N, C). N counts all anchors of all cells."""
        return self.heads.decode(raw, decode_exp, one_class=self.head == "report")

    def class_rows(self) -> dict[str, int]:
        return self.heads.class_rows("heads.")

    def loss(self, raw: list[Tensor], targets: list[Target]) -> dict[str, Tensor]:
        """The tuned loss, or with `head="report"` the reports' (models/losses.py)."""
        anchors = self.heads.anchors_px
        if self.head == "report":
            return report_loss(raw, targets, anchors, STRIDES, self.gains.balance)
        return tuned_loss(raw, targets, decode_exp, anchors, STRIDES, self.gains, neighbours=False)


def _branch(c_in: int, channels: int) -> nn.Sequential:
    """Five convolutions, 1x1 to half of `channels` and 3x3 to all of them in turn; half of them come out."""
    half = channels // 2
    first = [Conv(c_in, half), Conv(half, channels, 3)]
    return nn.Sequential(
        *first, Conv(channels, half), Conv(half, channels, 3), Conv(channels, half)
    )
