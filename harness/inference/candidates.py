"""From a network's boxes and scores to rows of candidates: the best of each image, in its pixels.

A network gives N boxes per image and C scores per box. Each pair of a box and a class is a
candidate, so a box that could be a dog or a cat gives two rows. The best K of the N x C pairs are
kept by flat position: of 3 boxes and 2 classes,

    flat position   0     1     2     3     4     5
    box, column     0, 0  0, 1  1, 0  1, 1  2, 0  2, 1

that is, box = position // C and column = position % C.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evaluate.exceptions import InputError
from evaluate.tables import Array
from harness.images.letterbox import Letterbox
from harness.inference.forward import forward
from models.class_names import match_classes
from models.detector import Detector


@dataclass(frozen=True)
class WantedClasses:
    """The names that a table shall have, and where the model's scores for them are."""

    names: tuple[str, ...]  # in label order
    columns: Tensor  # (C,) the model's columns of scores for those it knows, on its device
    labels: Array  # (C,) int16, the label of each column in `names`


def want_classes(
    model: Detector, names: tuple[str, ...] | None, device: torch.device
) -> WantedClasses:
    """Names matched with the model's by meaning; None wants all of the model's own.

    Raises InputError when the model knows none of them.
    """
    wanted = model.classes if names is None else names
    source = match_classes(wanted, model.classes)
    known = [(label, column) for label, column in enumerate(source) if column is not None]
    if not known:
        raise InputError(
            f"the model knows none of the classes {', '.join(wanted)}; "
            f"it knows {', '.join(model.classes)}"
        )
    labels, columns = zip(*known, strict=True)
    return WantedClasses(wanted, torch.tensor(columns).to(device), np.array(labels, np.int16))


def best_candidates(
    model: Detector,
    images: Tensor,
    wanted: WantedClasses,
    *,
    mirrored: bool,
    candidates_max: int,
    precision: torch.dtype,
) -> Tensor:
    """Images (B, 3, H, W) uint8 -> (B, K, 6): xyxy in pixels of the input, score, wanted column.

    The result is on the model's device. A `mirrored` network sees left for right; its boxes are
    turned back, exactly.
    """
    # As bytes to the device, and floats there: a quarter of the traffic.
    images = images.to(wanted.columns.device, non_blocking=True)
    xyxy, scores = model.decode(forward(model, images.flip(3) if mirrored else images, precision))
    classes = len(wanted.columns)

    # The best K pairs of a box and a wanted class, and the box of each.
    flat = scores.index_select(2, wanted.columns).flatten(1)  # (B, N * C)
    top, position = flat.topk(min(candidates_max, flat.shape[1]))  # (B, K)
    box_of = (position // classes)[..., None].expand(-1, -1, 4)  # (B, K, 4)
    xyxy = xyxy.gather(1, box_of)
    # Left and right change places: x1 of the mirrored box is the width minus its x2.
    if mirrored:
        x1, y1, x2, y2 = xyxy.unbind(2)
        xyxy = torch.stack([images.shape[3] - x2, y1, images.shape[3] - x1, y2], 2)
    return torch.cat([xyxy, top[..., None], (position % classes)[..., None]], 2)


def photo_columns(
    rows: Array, place: Letterbox, image: int, wanted: WantedClasses, conf_min: float
) -> tuple[Array, ...]:
    """Rows (K, 6) of one image -> its table columns: image, label, xyxy in the photo, score.

    Leaves out scores below `conf_min`, and boxes that lie wholly in the grey beside the photo.
    """
    # In float32, like the scores: 0.9 as a double is larger than a score of 0.9.
    rows = rows[rows[:, 4] >= np.float32(conf_min)]
    xyxy = place.to_photo(rows[:, :4])
    keep = (xyxy[:, 2:] > xyxy[:, :2]).all(1)
    labels = wanted.labels[rows[keep, 5].astype(int)]
    return np.full(keep.sum(), image, np.int32), labels, xyxy[keep], rows[keep, 4]
