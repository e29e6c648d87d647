"""Do the anchors fit the boxes that a training is to learn?

In the tuned loss a box whose sides differ from every anchor's by `anchor_ratio_max` or more has no
positive: nothing learns it, and where it lies the network learns that there is no object. The share
of boxes that some anchor fits is therefore the best recall that training can teach. An example at
image_size 320 and a factor of 4:

    photo 500 x 375, box 40 x 10     on the canvas 320 / 500 = 0.64 times as large: 25.6 x 6.4
    anchor 33 x 23                   factors 33 / 25.6 = 1.29 and 23 / 6.4 = 3.59: it fits
    anchor 30 x 61                   factors 1.17 and 61 / 6.4 = 9.53: it does not

The study reports' loss gives each truth its best anchor, whatever the factor, and needs no check.
"""

import numpy as np
import torch

from evaluate.tables import GroundTruth
from harness.images.letterbox import place_letterbox
from harness.recipe import Recipe
from models.assign import fits_by_ratio
from models.detector import Detector, HeadedDetector
from models.heads import TunedHead

RECALL_MIN = 0.98  # below this a person is told


def anchor_warning(
    model: Detector, recipe: Recipe, sizes: list[tuple[int, int]], truth: GroundTruth
) -> str:
    """One line when the model's anchors fit too few of the boxes, else "".

    sizes[i] is (height, width) of the photo of `truth.image_ids[i]`.
    """
    head = model.head if isinstance(model, HeadedDetector) else None
    if not isinstance(head, TunedHead):
        return ""
    anchors = head.anchors_px.flatten(0, 1).cpu()  # (levels * A, 2)
    recall = best_possible_recall(anchors, recipe, sizes, truth)
    if recall >= RECALL_MIN:
        return ""
    # Rounded down, so that what is below the bound never reads as reaching it.
    return (
        f"the anchors fit only {int(1000 * recall) / 10:.1f} % of the training boxes at "
        f"image_size={recipe.image_size} within a factor of {recipe.anchor_ratio_max:g} (want "
        f"{RECALL_MIN:.0%}): no anchor learns the rest; try another image_size or a larger "
        "anchor_ratio_max"
    )


def best_possible_recall(
    anchors: torch.Tensor, recipe: Recipe, sizes: list[tuple[int, int]], truth: GroundTruth
) -> float:
    """Share of the boxes to learn that an anchor (A, 2) in pixels fits; 1 where there are none.

    Boxes are those of training: on its canvas, without difficult ones, clipped to the photo. A box
    without area is left out.
    """
    if not len(truth):
        return 1.0
    learned = truth.take(~truth.difficult)
    canvas = recipe.image_size, recipe.image_size
    resized = np.array([place_letterbox(size, canvas).resized for size in sizes])  # (I, 2) h, w
    photo = np.array(sizes)  # (I, 2) h, w
    factor = (resized / photo)[learned.image, ::-1]  # (T, 2) for width, height

    w_h = photo[learned.image, ::-1]  # (T, 2)
    corners = learned.xyxy.clip(0, np.tile(w_h, 2))
    extent = (corners[:, 2:] - corners[:, :2]) * factor  # (T, 2) width, height on the canvas
    extent = extent[(extent > 0).all(1)]
    if not len(extent):
        return 1.0
    fits = fits_by_ratio(torch.from_numpy(extent).float(), anchors, recipe.anchor_ratio_max)
    return float(fits.any(1).float().mean())
