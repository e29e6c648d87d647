"""How much each part of a loss counts. Without torch, so that recipes are read without it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gains:
    """Weights of a loss's parts, under the names that a recipe gives them.

    Source: YOLOv5's hyper-parameters.
    """

    # Of the tuned loss alone, for three levels; with fewer, each level counts for more.
    box_gain: float = 0.05
    object_gain: float = 1.0  # at 640 x 640; proportional to the input's area
    class_gain: float = 0.5  # at 80 classes; proportional to their number
    anchor_ratio_max: float = 4.0  # an anchor fits a truth within this factor on both sides

    # Of both losses of an anchor head: the objectness weight of each level (P3, P4, P5). The fine
    # level has the most cells, so an object there is a smaller share of its level's mean.
    balance: tuple[float, ...] = (4.0, 1.0, 0.4)
