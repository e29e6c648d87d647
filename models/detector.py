"""What the harness asks of every model, and what a model asks of its head.

A detector is a trunk (backbone and neck: an image becomes feature maps) and a head (feature maps
become raw output). What raw output means is known to one object alone, the head: it decodes it to
boxes and computes its loss. So the two heads of a model, the tuned one and the study reports', are
two objects, and the model delegates to the one it has.

    images (B, 3, H, W) -> trunk -> feature maps -> head -> raw -> decode -> boxes, scores
                                                            raw -> loss   -> named scalars
"""

from typing import Any, Protocol

from torch import Tensor, nn

# The truth of one image: labels (T,) int64, boxes (T, 4) xyxy in pixels of the network's input.
Target = tuple[Tensor, Tensor]


class Head(Protocol):
    """The last layers of a model together with the meaning of what comes out of them."""

    def __call__(self, features: list[Tensor]) -> Any:
        """Feature maps (B, c, H / stride, W / stride), one per level, fine to coarse -> raw."""

    def decode(self, raw: Any) -> tuple[Tensor, Tensor]:
        """As `Detector.decode`."""

    def loss(self, raw: Any, targets: list[Target]) -> dict[str, Tensor]:
        """As `Detector.loss`."""

    def class_rows(self) -> dict[str, int]:
        """As `Detector.class_rows`, with names as in the head's own state."""


class Detector(nn.Module):
    """A model. Raw output stays opaque outside: only `decode` and `loss` read it."""

    classes: tuple[str, ...]  # in label order
    stride_max: int  # height and width of the input must be multiples of this

    def forward(self, images: Tensor) -> Any:
        """(B, 3, H, W) float, RGB in [0, 1] -> raw."""
        raise NotImplementedError

    def decode(self, raw: Any) -> tuple[Tensor, Tensor]:
        """raw -> boxes (B, N, 4) xyxy in pixels of the input; scores (B, N, C) in [0, 1].

        N counts every box that the network can give, whatever its score: no threshold, no NMS.
        """
        raise NotImplementedError

    def loss(self, raw: Any, targets: list[Target]) -> dict[str, Tensor]:
        """Named scalars, already weighted: training minimises their sum. One target per image."""
        raise NotImplementedError

    def class_rows(self) -> dict[str, int]:
        """Names of the tensors with one row per class -> how many groups of rows each has.

        A group ends in its C class rows: with 3 anchors, a bias (3 * (5 + C),) has 3 groups of 5 +
        C rows. By this `models.weights.transfer` moves classes by name into a network with other
        classes.
        """
        raise NotImplementedError


class HeadedDetector(Detector):
    """A detector that leaves raw output to its head."""

    head_name: str  # of the head in the state's names, such as "model.24"

    @property
    def head(self) -> Head:
        head: Any = self.get_submodule(self.head_name)
        return head  # type: ignore[no-any-return]

    def decode(self, raw: Any) -> tuple[Tensor, Tensor]:
        return self.head.decode(raw)

    def loss(self, raw: Any, targets: list[Target]) -> dict[str, Tensor]:
        return self.head.loss(raw, targets)

    def class_rows(self) -> dict[str, int]:
        rows = self.head.class_rows().items()
        return {f"{self.head_name}.{name}": groups for name, groups in rows}
