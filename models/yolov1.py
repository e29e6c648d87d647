"""YOLOv1 on a ResNet: one grid of cells, 14 x 14 at 448 pixels, or 7 x 7 as in the paper.

    images (B, 3, 448, 448)
      backbone  ResNet without its classifier      (B, 512 or 2048, 14, 14)   stride 32
      neck      3x3 convolution to 512             (B, 512, 14, 14)
                3x3 convolution, stride 1          (B, 512, 14, 14)           stride 32
                         or with stride 2          (B, 512, 7, 7)             stride 64
      head      report: CellHead, the paper's      (B, rows, cols, 2 * 5 + C)
                tuned: TunedHead with two anchors  [(B, 2, rows, cols, 5 + C)]

Source: Redmon et al., "You Only Look Once", 2016, https://arxiv.org/abs/1506.02640; ResNet and its
state names from torchvision. Differs: ResNet for the paper's backbone, two convolutions for its
fully connected layers, so that inputs of other sizes work. The tuned head keeps the network and the
single grid, and replaces the output layer, box code and loss by YOLOv5's.
"""

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet34, resnet50, resnet101

from models.cells import CellHead
from models.detector import HeadedDetector
from models.gains import Gains
from models.heads import TunedHead

RESNETS = {18: resnet18, 34: resnet34, 50: resnet50, 101: resnet101}  # by depth
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB
WIDTH = 512  # channels of the neck

# Width, height in pixels of the tuned head's two anchors. Within ratio 4 the first fits sides of 12
# to 192, the second of 40 to 640; squares, so that wide and tall fit alike. Measured at 448: one of
# them fits 99.6 % of 6185 boxes on 2500 VOC photos, and all of 2804 in BCCD's training split. What
# neither fits has a side of at most 12, or one of at most 40 and the other of at least 192.
PRIORS = ((48.0, 48.0), (160.0, 160.0))


class YoloV1(HeadedDetector):
    """Raw output is its head's, float32 logits of H / grid_stride times W / grid_stride cells."""

    def __init__(
        self,
        depth: int,
        classes: tuple[str, ...],
        head: Literal["tuned", "report"] = "tuned",
        gains: Gains | None = None,
        grid_stride: Literal[32, 64] = 32,
    ):
        super().__init__()
        gains = gains or Gains(balance=(1.0,))
        if len(gains.balance) != 1:
            raise ValueError(
                f"gains.balance is {gains.balance}, want one number: YOLOv1 has one grid"
            )
        self.classes, self.stride_max = classes, grid_stride

        resnet = RESNETS[depth](weights=None)
        layers = OrderedDict(resnet.named_children())
        del layers["avgpool"], layers["fc"]
        self.backbone = nn.Sequential(layers)
        self.neck = nn.Sequential(
            nn.Conv2d(resnet.fc.in_features, WIDTH, 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(WIDTH, WIDTH, 3, grid_stride // 32, padding=1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.LeakyReLU(0.1, inplace=True),
        )
        self.head_name, layer = {
            "tuned": ("heads", _tuned_head),
            "report": ("head_report", _report_head),
        }[head]
        self.add_module(self.head_name, layer(len(classes), grid_stride, gains))

        # What torchvision's weights were trained on; not part of the state.
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        features = self.neck(self.backbone((images - self.mean) / self.std))  # (B, 512, rows, cols)
        raw: Tensor | list[Tensor] = self.head([features])
        return raw


def _tuned_head(num_classes: int, stride: int, gains: Gains) -> nn.Module:
    return TunedHead((WIDTH,), num_classes, (PRIORS,), (stride,), gains)


def _report_head(num_classes: int, stride: int, gains: Gains) -> nn.Module:
    """The paper's weights of a loss's parts are fixed: no gains."""
    return CellHead(WIDTH, num_classes, stride)
