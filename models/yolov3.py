"""YOLOv3: DarkNet-53, a feature pyramid, three anchor heads.

    DarkNet-53            branches            tips     head
    stride 32, 1024 ---- [2] five convs -+-- 3x3 ---- 1x1   rows = H / 32: large objects
                          512            |
                                   routes[1], 256
                                   upsample x 2
                                         |
    stride 16,  512 ------ concat, 768 --+
                           [1] five convs -+-- 3x3 -- 1x1   rows = H / 16
                            256            |
                                     routes[0], 128
                                     upsample x 2
                                           |
    stride 8,   256 -------- concat, 384 --+
                             [0] five convs -- 3x3 -- 1x1   rows = H / 8: small objects
                              128

The numbers are strides and channels. The pyramid brings what the coarse level knows of the scene to
the fine levels, which alone see small objects. Lists go by level, fine to coarse: `routes[i]` leads
from level i + 1 to level i.

Source: Redmon and Farhadi, "YOLOv3", 2018, https://arxiv.org/abs/1804.02767, and the layer table
yolov3.cfg.
Differs: the tuned head is the paper's (a sigmoid per class) with a better loss; the report head has
a softmax over classes and the study reports' four-part loss.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.darknet import ConvBNLeaky, DarkNet53
from models.detector import HeadedDetector
from models.gains import Gains
from models.heads import ANCHORS, STRIDES, ReportHead, TunedExpHead

HEADS = {"tuned": TunedExpHead, "report": ReportHead}


class YoloV3(HeadedDetector):
    """Raw output: three levels (B, 3, H / stride, W / stride, 5 + C) of float32 logits."""

    stride_max = 32
    head_name = "heads"

    def __init__(
        self,
        classes: tuple[str, ...],
        head: Literal["tuned", "report"] = "tuned",
        gains: Gains | None = None,
    ):
        super().__init__()
        self.classes = classes
        self.backbone = DarkNet53()
        channels = self.backbone.channels  # (256, 512, 1024)
        # A branch reads its level joined with half as many channels from the level above; the
        # coarsest has none above.
        joined = [c + c // 2 for c in channels[:-1]] + [channels[-1]]
        self.branches = nn.ModuleList(
            _branch(c_in, c) for c_in, c in zip(joined, channels, strict=True)
        )
        self.tips = nn.ModuleList(ConvBNLeaky(c // 2, c, 3) for c in channels)
        self.routes = nn.ModuleList(ConvBNLeaky(c // 2, c // 4) for c in channels[1:])
        gains = gains or Gains(balance=(1.0, 1.0, 1.0))
        self.heads = HEADS[head](channels, len(classes), ANCHORS, STRIDES, gains)

    def forward(self, images: Tensor) -> list[Tensor]:
        at8, at16, at32 = self.backbone(images)
        coarse = self.branches[2](at32)
        up = F.interpolate(self.routes[1](coarse), scale_factor=2.0)
        middle = self.branches[1](torch.cat([up, at16], 1))
        up = F.interpolate(self.routes[0](middle), scale_factor=2.0)
        fine = self.branches[0](torch.cat([up, at8], 1))
        levels = zip(self.tips, (fine, middle, coarse), strict=True)
        raw: list[Tensor] = self.heads([tip(x) for tip, x in levels])
        return raw


def _branch(c_in: int, channels: int) -> nn.Sequential:
    """Five convolutions, 1x1 to half of `channels` and 3x3 to all in turn; half come out."""
    half = channels // 2
    return nn.Sequential(
        ConvBNLeaky(c_in, half),
        ConvBNLeaky(half, channels, 3),
        ConvBNLeaky(channels, half),
        ConvBNLeaky(half, channels, 3),
        ConvBNLeaky(channels, half),
    )
