"""Mean average precision as COCO counts it, to the bit of pycocotools. Imports numba: import this module late."""

from typing import Any

import numba
import numpy as np

from evaluate.exceptions import InputError
from evaluate.metrics.matching import ranking
from evaluate.tables import Array, Detections, GroundTruth, align

NAMES = (
    "AP AP50 AP75 AP_small AP_medium AP_large AR_1 AR_10 AR_100 AR_small AR_medium AR_large".split()
)
IOUS = np.linspace(0.5, 0.95, 10)  # T
RECALLS = np.linspace(0, 1, 101)  # R
AREAS = np.array(
    [[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]]
)  # A: all, small, medium, large; ends count
MOST = np.array([1, 10, 100])  # K: how many of an image's boxes of a class count


def coco_map(dets: Detections, truth: GroundTruth) -> dict[str, Any]:
    """COCO's twelve numbers by name, and `per_class`: AP by class name. Each is in [0, 1], None where it has no truth.

    AP is the mean over the overlaps 0.50, 0.55 ... 0.95, AR_n the mean recall with n boxes an image and class; of all
    others the best 100 count. small, medium and large truths meet at areas of 32² and 96² pixels. `difficult` truths
    enter as COCO's `iscrowd`, its nearest notion: never missed, and what falls inside one (overlap taken over the
    detection's own area, not the union) is no false alarm. Equal scores rank as in `voc_map`.

    Source: https://github.com/cocodataset/cocoapi/blob/master/PythonAPI/pycocotools/cocoeval.py
    Differs: images and classes are numbered by name and truths of an image sorted by box, so that no order matters.
    Raises InputError when the tables' images or classes differ, or no class has truth that counts.
    """
    dets = align(dets, truth)
    if truth.difficult.all():
        raise InputError(
            "the truth has no box that counts (none, or all difficult): there is nothing to score against"
        )
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
        truth.difficult[:, None] | (box[:, 4:] < AREAS[:, 0]) | (box[:, 4:] > AREAS[:, 1])
    )  # (M, A)
    row = ranking(dets)
    stops = np.searchsorted(dets.label[row], np.arange(classes + 1))

    precision = np.full((len(IOUS), len(RECALLS), classes, len(AREAS)), -1.0)
    recall = np.full((len(IOUS), classes, len(AREAS), len(MOST)), -1.0)
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
        found, seen = _judge(rows, *columns)
        positives = np.count_nonzero(~ignored[mine], axis=0)
        for a in np.flatnonzero(positives):
            recall[:, c, a] = found[a] / positives[a]
            for t in range(len(IOUS)):
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


@numba.njit(cache=True)
def _judge(rows: Any, image: Any, xyxy: Any, edges: Any, box: Any, crowd: Any, ignored: Any) -> Any:
    """Match the detections of one class, best first, at every IoU and for every area.

    The truths of image i are edges[i] : edges[i + 1] of box (M, 5), crowd (M,) and ignored (M, A).
    -> hits (A, T, K) int; how many detections count down to each hit (A, T, M) int.
    """
    found = np.zeros((len(AREAS), len(IOUS), len(MOST)), np.int64)
    seen = np.zeros((len(AREAS), len(IOUS), len(box)), np.int64)
    taken = np.zeros((len(AREAS), len(IOUS), len(box)), np.bool_)
    plain = np.zeros(len(AREAS), np.int64)  # detections so far that count at every IoU
    others = np.zeros((len(AREAS), len(IOUS)), np.int64)  # and at some
    of_image = np.zeros(len(edges) - 1, np.int64)
    iou = np.empty(len(box))
    for row in rows:
        i = image[row]
        of_image[i] += 1
        if of_image[i] > MOST[-1]:
            continue
        area, best = _overlaps(xyxy[row], box, crowd, edges[i], edges[i + 1], iou)
        for a in range(len(AREAS)):
            inside = AREAS[a, 0] <= area <= AREAS[a, 1]
            if best < IOUS[0]:
                plain[a] += inside
                continue
            for t in range(len(IOUS)):
                target = -1
                if best >= IOUS[t]:
                    target = _choice(
                        iou, edges[i], edges[i + 1], ignored[:, a], crowd, taken[a, t], IOUS[t]
                    )
                if target < 0:
                    others[a, t] += inside
                    continue
                taken[a, t, target] = True
                if not ignored[target, a]:
                    others[a, t] += 1
                    seen[a, t, found[a, t, -1]] = plain[a] + others[a, t]
                    found[a, t] += of_image[i] <= MOST
    return found, seen


@numba.njit(cache=True)
def _overlaps(xyxy: Any, box: Any, crowd: Any, first: int, stop: int, iou: Any) -> Any:
    """Write a detection's overlaps with truths first : stop to `iou`, with a crowd over its own area.

    -> its area, the highest overlap.
    """
    x1, y1 = np.float64(xyxy[0]), np.float64(xyxy[1])
    wide, high = np.float64(xyxy[2]) - x1, np.float64(xyxy[3]) - y1
    area, best = wide * high, 0.0
    for j in range(first, stop):
        width = min(wide + x1, box[j, 2]) - max(x1, box[j, 0])
        height = min(high + y1, box[j, 3]) - max(y1, box[j, 1])
        iou[j] = 0.0
        if width > 0 and height > 0:
            shared = width * height
            iou[j] = shared / (area if crowd[j] else area + box[j, 4] - shared)
            best = max(best, iou[j])
    return area, best


@numba.njit(cache=True)
def _choice(
    iou: Any, first: int, stop: int, ignored: Any, crowd: Any, taken: Any, iou_min: float
) -> int:
    """The free truth of first : stop that a detection overlaps most, from iou_min; those ignored come last. Or -1."""
    for last in (False, True):
        choice = -1
        for j in range(first, stop):
            if ignored[j] == last and iou[j] >= iou_min and (crowd[j] or not taken[j]):
                choice, iou_min = j, iou[j]
        if choice >= 0:
            return choice
    return -1
