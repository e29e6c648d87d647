"""What the harness asks of every model."""

from typing import Any

from torch import Tensor, nn

Target = tuple[
    Tensor, Tensor
]  # one image's truth: labels (T,) int64, boxes (T, 4) xyxy in pixels of the input


class Detector(nn.Module):
    """Raw output stays opaque outside the model: only `decode` and `loss` read it."""

    classes: tuple[str, ...]
    stride_max: int  # height and width of the input must be multiples of this

    def forward(self, images: Tensor) -> Any:
        """(B, 3, H, W) float, RGB in [0, 1] -> raw."""
        raise NotImplementedError

    def decode(self, raw: Any) -> tuple[Tensor, Tensor]:
        """raw -> boxes (B, N, 4) xyxy in pixels of the input; scores (B, N, C) in [0, 1]. No threshold, no NMS."""
        raise NotImplementedError

    def class_rows(self) -> dict[str, int]:
        """Names of the state's tensors with class rows -> their number of groups; a group ends in its C class rows.

        So that `models.weights.transfer` can move classes by name into a network with other classes.
        """
        raise NotImplementedError

    def loss(self, raw: Any, targets: list[Target]) -> dict[str, Tensor]:
        """Named scalars, already weighted: training minimises their sum."""
        raise NotImplementedError
