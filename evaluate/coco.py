"""Mean average precision as COCO counts it, by pycocotools. Imports pycocotools: import this module late."""

import contextlib
import io
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evaluate.matching import ranking
from evaluate.tables import Boxes, Detections, GroundTruth, InputError, align

NAMES = "AP AP50 AP75 AP_small AP_medium AP_large AR_1 AR_10 AR_100 AR_small AR_medium AR_large".split()


def coco_map(dets: Detections, truth: GroundTruth) -> dict[str, Any]:
    """COCO's twelve numbers by name, and `per_class`: AP by class name. Each is in [0, 1], None where it has no truth.

    AP is the mean over the overlaps 0.50, 0.55 ... 0.95, AR_n the mean recall with n boxes an image and class; of all
    others the best 100 count. small, medium and large truths meet at areas of 32² and 96² pixels. `difficult` truths
    enter as COCO's `iscrowd`, its nearest notion: never missed, and what falls inside one (overlap taken over the
    detection's own area, not the union) is no false alarm. Equal scores rank as in `voc_map`.

    Raises InputError when the tables' images or classes differ, or no class has truth that counts.
    """
    dets = align(dets, truth)
    if truth.difficult.all():
        raise InputError("the truth has no box that counts (none, or all difficult): there is nothing to score against")
    by_id = np.argsort(np.argsort(np.array(truth.image_ids, np.str_)))  # COCO ranks equal scores by image number
    dets = dets.take(ranking(dets))
    truth = truth.take(np.lexsort((truth.difficult, *truth.xyxy.T[::-1])))
    dataset = {
        "images": [{"id": i} for i in range(len(truth.image_ids))],
        "categories": [{"id": c} for c in range(len(truth.classes))],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        found = COCOeval(
            _coco(dataset, _annotations(truth, by_id, iscrowd=truth.difficult)),
            _coco(dataset, _annotations(dets, by_id, score=dets.score)),
            "bbox",
        )
        found.evaluate()
        found.accumulate()
        found.summarize()
    precision = found.eval["precision"][:, :, :, 0, -1]  # (10 overlaps, 101 recalls, C), -1 where without truth
    per_class = dict(zip(truth.classes, precision.mean((0, 1)), strict=True))
    return {**_or_none(dict(zip(NAMES, found.stats, strict=True))), "per_class": _or_none(per_class)}


def _annotations(boxes: Boxes, number: Any, **columns: Any) -> list[dict[str, Any]]:
    """COCO's list of rows: bbox is xywh, ids start at 1 because COCOeval reads id 0 as "no match"."""
    xyxy = boxes.xyxy.astype(np.float64)
    size = xyxy[:, 2:] - xyxy[:, :2]
    columns = {"iscrowd": np.zeros(len(boxes), int)} | columns
    columns |= {
        "id": np.arange(1, len(boxes) + 1),
        "image_id": number[boxes.image],
        "category_id": boxes.label,
        "bbox": np.hstack([xyxy[:, :2], size]),
        "area": size.prod(1),
    }
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _coco(dataset: dict[str, Any], annotations: list[dict[str, Any]]) -> COCO:
    coco = COCO()
    coco.dataset = dataset | {"annotations": annotations}
    coco.createIndex()
    return coco


def _or_none(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: float(x) if x >= 0 else None for name, x in numbers.items()}
