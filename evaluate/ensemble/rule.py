"""How boxes of several detectors become one: the options of a fusion."""

from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

from evaluate.exceptions import InputError

Method = Literal["wbf", "nmw", "soft-nms", "nms"]
ConfType = Literal["avg", "max", "box_and_model_avg", "absent_model_aware_avg"]
Decay = Literal["linear", "gaussian"]

CONF_TYPES: tuple[ConfType, ...] = get_args(ConfType)
MEMBERS_IOU: dict[Method, float] = {"wbf": 0.45, "nmw": 0.45, "soft-nms": 1, "nms": 1}  # defaults


@dataclass(frozen=True)
class FusionRule:
    """How boxes become one. The fields are options of `harness fuse`, their docstrings its help."""

    method: Method = "wbf"
    """wbf and nmw merge boxes; soft-nms lowers the scores of all but the best; nms drops them."""
    iou: float = 0.55
    """Boxes of a class that overlap by more are taken for the same thing."""
    conf_type: ConfType = "avg"
    """How wbf scores a merged box."""
    decay: Decay = "linear"
    """How soft-nms lowers scores."""
    sigma: float = 0.5
    """Width of the gaussian decay: the larger, the weaker the decay."""
    skip_below: float = 0.0
    """Leave out boxes with a lower score, also after soft-nms."""
    members_iou: float | None = None
    """IoU of the NMS that each table goes through first, best set below --iou; 1 is no NMS.
    Default: 0.45 for wbf and nmw, else 1."""

    def __post_init__(self) -> None:
        for name, choice in (("method", Method), ("conf_type", ConfType), ("decay", Decay)):
            if getattr(self, name) not in get_args(choice):
                raise InputError(
                    f"{name} is {getattr(self, name)}, want one of {', '.join(get_args(choice))}"
                )
        ious = {"iou": self.iou, "members_iou": self.first_iou}
        for name, value in {**ious, "skip_below": self.skip_below}.items():
            if not 0 <= value <= 1:
                raise InputError(f"{name} is {value}, want 0 to 1")
        if not 0 < self.sigma < inf:
            raise InputError(f"sigma is {self.sigma}, want above 0")

    @property
    def first_iou(self) -> float:
        """`members_iou`, or its default."""
        return MEMBERS_IOU[self.method] if self.members_iou is None else self.members_iou
