"""DarkNet-53, the backbone of YOLOv3.

Source: Redmon and Farhadi, "YOLOv3", 2018, https://arxiv.org/abs/1804.02767, table 1; slope and
epsilon from Darknet's own code. Differs: no classifier; batch norm forgets at 0.03 per step, as
models/blocks.py does, for short trainings.
"""

from torch import Tensor, nn

WIDTH = 32  # channels of the first convolution; each of the stages doubles them
REPEATS = (1, 2, 8, 8, 4)  # residual blocks of each stage, at strides 2, 4, 8, 16, 32


class ConvBNLeaky(nn.Module):
    """Convolution, batch norm, leaky ReLU. (B, c_in, H, W) -> (B, c_out, H / s, W / s)."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=1e-5, momentum=0.03)
        self.act = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out


class Residual(nn.Module):
    """1x1 to half the width, 3x3 back to all of it, added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.cv1 = ConvBNLeaky(channels, channels // 2)
        self.cv2 = ConvBNLeaky(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cv2(self.cv1(x))
        return x + y


class DarkNet53(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] -> feature maps at strides 8, 16 and 32.

    Each is (B, channels[i], H / stride, W / stride), with 256, 512 and 1024 channels.

        stem     3x3, 32 channels                  stride 1
        stage 0  3x3 / 2 to   64, 1 residual       stride 2
        stage 1  3x3 / 2 to  128, 2 residuals      stride 4
        stage 2  3x3 / 2 to  256, 8 residuals      stride 8    -> out
        stage 3  3x3 / 2 to  512, 8 residuals      stride 16   -> out
        stage 4  3x3 / 2 to 1024, 4 residuals      stride 32   -> out

    With two convolutions per residual: 1 + 5 + 2 * 23 = 52; the 53rd is the classifier.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBNLeaky(3, WIDTH, 3)
        stages, width = [], WIDTH
        for repeats in REPEATS:
            blocks = (Residual(2 * width) for _ in range(repeats))
            stages.append(nn.Sequential(ConvBNLeaky(width, 2 * width, 3, 2), *blocks))
            width *= 2
        self.stages = nn.ModuleList(stages)
        self.channels = (width // 4, width // 2, width)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, features = self.stem(images), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features[2:]
