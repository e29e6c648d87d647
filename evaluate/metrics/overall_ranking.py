"""The order of detections of all classes together, best first: what a person is shown first.

AP ranks each class by itself (`matching.ranking`). Where classes compete, for a truth or for a
place among the best of an image, they need one order, and it must not depend on how rows, images
or classes happen to stand in the table: equal scores go by image id, box, then class name.
"""

from dataclasses import replace

import numpy as np

from evaluate.metrics.matching import ranking
from evaluate.tables import Array, Boxes, Detections, among_first


def overall_ranking(dets: Detections, per_image_max: int | None = None) -> Array:
    """Rows by falling score, at most the best `per_image_max` of each image. -> (n,) int."""
    # Ranked as one class, after a sort by class name: the ranking leaves what it finds equal in
    # the order it came.
    order = np.argsort(class_by_name(dets), kind="stable")
    one_class = np.zeros(len(dets), np.int16)
    rows: Array = order[ranking(replace(dets.take(order), classes=("any",), label=one_class))]
    if per_image_max is None:
        return rows
    by_image = np.argsort(dets.image[rows], kind="stable")
    kept = by_image[among_first(dets.image[rows[by_image]], per_image_max)]
    best: Array = rows[np.sort(kept)]
    return best


def class_by_name(boxes: Boxes) -> Array:
    """Place of each row's class among the sorted class names. -> (N,) int."""
    places: Array = np.argsort(np.argsort(np.array(boxes.classes, np.str_)))[boxes.label]
    return places
