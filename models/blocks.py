"""The blocks of YOLOv5 v6/v7, with the attribute names its checkpoints use.

Source: the layer table and hyper-parameters published with YOLOv5 v6.0; CSP from Wang et al.,
"CSPNet", 2019, https://arxiv.org/abs/1911.11929; SPP from He et al., 2014,
https://arxiv.org/abs/1406.4729.
"""

import torch
from torch import Tensor, nn


class ConvBNSiLU(nn.Module):
    """Convolution, batch norm, SiLU. (B, c_in, H, W) -> (B, c_out, H / stride, W / stride)."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1, padding: int | None = None
    ):
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False)
        # YOLOv5's values: its averages move by 3 % per step where PyTorch's default is 10 %.
        self.bn = nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out


class Bottleneck(nn.Module):
    """1x1 then 3x3 at the same width, added to the input where `shortcut`."""

    def __init__(self, channels: int, shortcut: bool):
        super().__init__()
        self.cv1 = ConvBNSiLU(channels, channels, 1)
        self.cv2 = ConvBNSiLU(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Cross-stage partial block: half of the channels go through `depth` bottlenecks.

    The other half passes by (cv2), and cv3 mixes the two: nearly the features of the full width for
    half of the work.
    """

    def __init__(self, c_in: int, c_out: int, depth: int, shortcut: bool = True):
        super().__init__()
        half = c_out // 2
        self.cv1 = ConvBNSiLU(c_in, half)
        self.cv2 = ConvBNSiLU(c_in, half)
        self.cv3 = ConvBNSiLU(2 * half, c_out)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], 1))
        return out


class SPPF(nn.Module):
    """Spatial pyramid pooling: each cell sees the largest value around it at four scales.

    The maximum over a window of 5 of the maximum over a window of 5 is that over a window of 9, and
    once more of 13: three small poolings in series give what SPP's three windows side by side give,
    for half the time.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.cv1 = ConvBNSiLU(channels, channels // 2)
        self.cv2 = ConvBNSiLU(channels // 2 * 4, channels)
        self.m = nn.MaxPool2d(5, stride=1, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        five = self.m(x)
        nine = self.m(five)
        out: Tensor = self.cv2(torch.cat([x, five, nine, self.m(nine)], 1))
        return out
