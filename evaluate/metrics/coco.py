"""Mean average precision as COCO counts it, to the bit of pycocotools.

Against VOC's rule (matching.py, voc.py) it differs in five ways:

1. A detection takes the best truth that is still free, instead of being judged by its best one.
2. So matches do depend on the threshold, and all ten thresholds are walked down side by side.
3. Every number is also had for small, medium and large truths alone. The others are ignored then:
   who hits one counts as nothing, and so does a false positive whose own area is outside the
   range.
4. The best 100 detections of an image and class count, and recall is also had for the best 1 and
   10.
5. AP is the mean of the envelope of precision at 101 recalls.

To the bit, because a contest's board compares with pycocotools: so corners come by way of width and
height, and precision has the epsilon that it divides by.
"""

from typing import Any

import numpy as np

from evaluate.loops import Kernels
from evaluate.metrics.matching import ranking, require_positives
from evaluate.tables import Array, Detections, GroundTruth, align

kernel = Kernels("evaluate.metrics.coco_kernel")

NAMES = (
    "AP AP50 AP75 AP_small AP_medium AP_large AR_1 AR_10 AR_100 AR_small AR_medium AR_large".split()
)
RECALLS = np.linspace(0, 1, 101)  # R
# of AR_1 ... AR_large: row of the kernel's AREA_RANGES, row of its BOXES_MAX
RECALL_ROWS = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2))


def coco_map(dets: Detections, truth: GroundTruth) -> dict[str, Any]:
    """COCO's twelve numbers by name, and `per_class`: AP by class name.

    Each is in [0, 1], or None where there is no truth for it. AP is the mean over the IoUs 0.50,
    0.55 ... 0.95, AR_n the mean recall with n boxes per image and class. small, medium and large
    truths meet at areas of 32² and 96² pixels. `difficult` truths enter as COCO's `iscrowd`, its
    nearest notion: never missed, and what falls inside one (overlap taken over the detection's own
    area, not the union) is no false positive. Equal scores rank as in `voc_map`.

    Source: https://github.com/cocodataset/cocoapi/blob/master/PythonAPI/pycocotools/cocoeval.py
    Differs: images and classes are numbered by name and truths of an image sorted by box, so that
    no order matters. Raises InputError when the tables' images or classes differ, or no class has
    truth that counts.
    """
    dets = align(dets, truth)
    require_positives(~truth.difficult)
    precision, recall = curves(dets, truth)
    any_size = precision[..., 0]  # (T, R, C)
    parts = (any_size, any_size[:1], any_size[5:6], *(precision[..., a] for a in (1, 2, 3)))
    means = [_mean(part) for part in (*parts, *(recall[:, :, a, k] for a, k in RECALL_ROWS))]
    by_name = {name: _mean(any_size[:, :, c]) for c, name in enumerate(sorted(truth.classes))}
    per_class = {name: by_name[name] for name in truth.classes}
    return dict(zip(NAMES, means, strict=True)) | {"per_class": per_class}


def curves(dets: Detections, truth: GroundTruth) -> tuple[Array, Array]:
    """Of aligned tables: precision (T, R, C, A) with 100 boxes, recall (T, C, A, K).

    Classes are sorted by name. -1 where the class has no truth of that area that counts.
    """
    images, classes = len(truth.image_ids), len(truth.classes)
    ious, areas, boxes_max = kernel.IOU_THRESHOLDS, kernel.AREA_RANGES, kernel.BOXES_MAX

    # truths by class, image and box; those of group g are edges[g] : edges[g + 1]
    group = truth.label.astype(np.int64) * images + truth.image
    truth = truth.take(np.lexsort((truth.difficult, *truth.xyxy.T[::-1], group)))
    edges = np.append(0, np.cumsum(np.bincount(group, minlength=images * classes)))
    box = _edges_and_area(truth.xyxy)  # (M, 5)
    outside = (box[:, 4:] < areas[:, 0]) | (box[:, 4:] > areas[:, 1])
    ignored = truth.difficult[:, None] | outside  # (M, A)
    row = ranking(dets)
    stops = np.searchsorted(dets.label[row], np.arange(classes + 1))

    precision = np.full((len(ious), len(RECALLS), classes, len(areas)), -1.0)
    recall = np.full((len(ious), classes, len(areas), len(boxes_max)), -1.0)
    for c, name in enumerate(sorted(truth.classes)):
        label = truth.classes.index(name)
        by_image = edges[label * images : (label + 1) * images + 1]
        of_class = slice(by_image[0], by_image[-1])
        hits, ranks = kernel.judge(
            row[stops[label] : stops[label + 1]],
            dets.image,
            dets.xyxy,
            by_image - by_image[0],
            box[of_class],
            truth.difficult[of_class],
            ignored[of_class],
        )
        positives = np.count_nonzero(~ignored[of_class], axis=0)  # (A,)
        for a in np.flatnonzero(positives):
            recall[:, c, a] = hits[a] / positives[a]
            for t in range(len(ious)):
                precision[t, :, c, a] = _at_recalls(ranks[a, t, : hits[a, t, -1]], positives[a])
    return precision, recall


def _edges_and_area(xyxy: Array) -> Array:
    """(n, 4) float32 -> (n, 5) float64 x1, y1, x2, y2, area; x2 is x1 plus the width, as COCO's."""
    x1, y1, x2, y2 = xyxy.astype(np.float64).T
    return np.column_stack([x1, y1, (x2 - x1) + x1, (y2 - y1) + y1, (x2 - x1) * (y2 - y1)])


def _at_recalls(hit_ranks: Array, positives: int) -> Array:
    """Ranks of the hits (h,), from 1 -> the envelope of precision at each of RECALLS (R,)."""
    hits = np.arange(1, len(hit_ranks) + 1)
    precision = hits / (hit_ranks + np.spacing(1))  # as pycocotools: 1 of 1 is just below 1
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    at_recalls: Array = envelope[np.searchsorted(hits / positives, RECALLS)]
    return at_recalls


def _mean(values: Array) -> float | None:
    """Over the values that are not -1, if there are any."""
    values = values[values > -1]
    return float(values.mean()) if len(values) else None
