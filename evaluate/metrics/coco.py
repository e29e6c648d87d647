"""Mean average precision as COCO counts it, to the bit of pycocotools."""

from typing import Any

import numpy as np

from evaluate.loops import Kernels
from evaluate.metrics.matching import ranking, require_positives
from evaluate.tables import Array, Detections, GroundTruth, align

NAMES = (
    "AP AP50 AP75 AP_small AP_medium AP_large AR_1 AR_10 AR_100 AR_small AR_medium AR_large".split()
)
RECALLS = np.linspace(0, 1, 101)  # R
kernel = Kernels("evaluate.metrics.coco_kernel")


def coco_map(dets: Detections, truth: GroundTruth) -> dict[str, Any]:
    """COCO's twelve numbers by name, and `per_class`: AP by class name. Each is in [0, 1], None where it has no truth.

    AP is the mean over the overlaps 0.50, 0.55 ... 0.95, AR_n the mean recall with n boxes an
    image and class; of all others the best 100 count. small, medium and large truths meet at areas
    of 32² and 96² pixels. `difficult` truths enter as COCO's `iscrowd`, its nearest notion: never
    missed, and what falls inside one (overlap taken over the detection's own area, not the union)
    is no false alarm. Equal scores rank as in `voc_map`.

    Source: https://github.com/cocodataset/cocoapi/blob/master/PythonAPI/pycocotools/cocoeval.py
    Differs: images and classes are numbered by name and truths of an image sorted by box, so that
    no order matters. Raises InputError when the tables' images or classes differ, or no class has
    truth that counts.
    """
    dets = align(dets, truth)
    require_positives(~truth.difficult)
    precision, recall = curves(dets, truth)
    of_all = precision[..., 0]
    means = [
        _mean(part)
        for part in (of_all, of_all[:1], of_all[5:6], *(precision[..., a] for a in (1, 2, 3)))
    ]
    means += [
        _mean(recall[:, :, a, most]) for a, most in ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2))
    ]
    per_class = {name: _mean(of_all[:, :, c]) for c, name in enumerate(sorted(truth.classes))}
    return dict(zip(NAMES, means, strict=True)) | {
        "per_class": {name: per_class[name] for name in truth.classes}
    }


def curves(dets: Detections, truth: GroundTruth) -> tuple[Array, Array]:
    """Of aligned tables: precision (T, R, C, A) with 100 boxes, recall (T, C, A, K); classes sorted by name.

    -1 where the class has no truth of that area that counts.
    """
    images, classes = len(truth.image_ids), len(truth.classes)
    group = truth.label.astype(np.int64) * images + truth.image
    truth = truth.take(np.lexsort((truth.difficult, *truth.xyxy.T[::-1], group)))
    edges = np.append(0, np.cumsum(np.bincount(group, minlength=images * classes)))
    box = _edges_and_area(truth.xyxy)
    ignored = (
        truth.difficult[:, None]
        | (box[:, 4:] < kernel.AREA_RANGES[:, 0])
        | (box[:, 4:] > kernel.AREA_RANGES[:, 1])
    )  # (M, A)
    row = ranking(dets)
    stops = np.searchsorted(dets.label[row], np.arange(classes + 1))

    precision = np.full(
        (len(kernel.IOU_THRESHOLDS), len(RECALLS), classes, len(kernel.AREA_RANGES)), -1.0
    )
    recall = np.full(
        (len(kernel.IOU_THRESHOLDS), classes, len(kernel.AREA_RANGES), len(kernel.BOXES_MAX)), -1.0
    )
    for c, name in enumerate(sorted(truth.classes)):
        label = truth.classes.index(name)
        of_class = edges[label * images : (label + 1) * images + 1]
        mine = slice(of_class[0], of_class[-1])
        rows = row[stops[label] : stops[label + 1]]
        columns = (
            dets.image,
            dets.xyxy,
            of_class - of_class[0],
            box[mine],
            truth.difficult[mine],
            ignored[mine],
        )
        found, seen = kernel.judge(rows, *columns)
        positives = np.count_nonzero(~ignored[mine], axis=0)
        for a in np.flatnonzero(positives):
            recall[:, c, a] = found[a] / positives[a]
            for t in range(len(kernel.IOU_THRESHOLDS)):
                precision[t, :, c, a] = _at_recalls(seen[a, t, : found[a, t, -1]], positives[a])
    return precision, recall


def _edges_and_area(xyxy: Array) -> Array:
    """(n, 4) float32 -> (n, 5) float64 x1, y1, x2, y2, area, the right and lower edge by way of width and height."""
    x1, y1, x2, y2 = xyxy.astype(np.float64).T
    return np.column_stack([x1, y1, (x2 - x1) + x1, (y2 - y1) + y1, (x2 - x1) * (y2 - y1)])


def _at_recalls(seen: Array, positives: int) -> Array:
    """How many detections count down to the first, second ... hit (h,) -> best precision from each recall on (R,)."""
    found = np.arange(1, len(seen) + 1)
    precision = found / (seen + np.spacing(1))  # as pycocotools writes it: 1 of 1 is just below 1
    best_from_here = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    at: Array = best_from_here[np.searchsorted(found / positives, RECALLS)]
    return at


def _mean(values: Array) -> float | None:
    """Over what is there, if anything is."""
    values = values[values > -1]
    return float(values.mean()) if len(values) else None
