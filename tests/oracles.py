"""Slow and obvious versions of the fast code, and tables to compare them on."""

import contextlib
import io
from dataclasses import replace
from fractions import Fraction

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evaluate.tables import Detections, GroundTruth

IMAGES = ("a", "b")
CLASSES = ("cat", "dog", "bird")


def detections(*rows):
    """Rows of (image, label, score, x1, y1, x2, y2) over IMAGES and CLASSES."""
    table = np.array(rows, np.float64).reshape(-1, 7)
    return Detections(IMAGES, CLASSES, table[:, 0], table[:, 1], table[:, 3:], table[:, 2])


def truths(*rows, difficult=()):
    """Rows of (image, label, x1, y1, x2, y2) over IMAGES and CLASSES; `difficult` lists rows."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    hard = np.isin(np.arange(len(table)), difficult)
    return GroundTruth(IMAGES, CLASSES, table[:, 0], table[:, 1], table[:, 2:], hard)


def random_tables(seed, images=6):
    """-> Detections, GroundTruth in whole pixels, with everything that is awkward.

    Equal scores, boxes without area, overlaps of exactly one half,
    truths that overlap each other, difficult ones, the same box twice, an image without boxes, a
    class without truth.
    """
    rng = np.random.default_rng(seed)
    ids = tuple(f"{i:06d}.jpg" for i in rng.permutation(images))
    t, d, busy = 20, 80, images - 1

    def boxes(n):
        low = rng.integers(0, 40, (n, 2))
        return np.concatenate([low, low + rng.integers(0, 30, (n, 2))], axis=1)

    truth = GroundTruth(
        ids, CLASSES, rng.integers(0, busy, t), rng.integers(0, 2, t), boxes(t), rng.random(t) < 0.2
    )
    near = rng.integers(0, t, d // 2)
    nudged = truth.xyxy[near] + rng.integers(-3, 4, (d // 2, 1)) * (rng.random((d // 2, 1)) < 0.7)
    halves = nudged[: d // 8]
    halves[:] = truth.xyxy[near[: d // 8]]
    halves[:, 2] = (halves[:, 0] + halves[:, 2]) / 2
    xyxy = np.concatenate([nudged, boxes(d - d // 2)])
    image = np.concatenate([truth.image[near], rng.integers(0, busy, d - d // 2)])
    label = np.concatenate([truth.label[near], rng.integers(0, 3, d - d // 2)])
    twice = np.append(np.arange(d), rng.integers(0, d, 5))
    score = rng.integers(0, 21, len(twice)) / 20
    return Detections(ids, CLASSES, image[twice], label[twice], xyxy[twice], score), truth


def reordered(table, seed):
    """The same table with its rows, its images and its classes in another order."""
    rng = np.random.default_rng(seed)
    table = table.take(rng.permutation(len(table)))
    images, classes = rng.permutation(len(table.image_ids)), rng.permutation(len(table.classes))
    return replace(
        table,
        image_ids=tuple(table.image_ids[i] for i in images),
        classes=tuple(table.classes[c] for c in classes),
        image=np.argsort(images)[table.image],
        label=np.argsort(classes)[table.label],
    )


def devkit_ap(dets, truth, *, iou_min=0.5, eleven_point=False):
    """AP by class, nan without truth: VOCevaldet.m in loops and exact fractions.

    Pixels are inclusive, with its "+ 1".

    Equal scores go by image id and box; of equally overlapped truths the first by box, then by
    difficult, is taken.
    """
    return [_devkit_ap(dets, truth, c, iou_min, eleven_point) for c in range(len(truth.classes))]


def _devkit_ap(dets, truth, c, iou_min, eleven_point):
    class_dets = [
        (dets.image_ids[i], _inclusive(b), s) for i, l, b, s in _rows(dets, dets.score) if l == c
    ]
    class_truths = [
        (truth.image_ids[i], _inclusive(b), bool(d))
        for i, l, b, d in _rows(truth, truth.difficult)
        if l == c
    ]
    positives = sum(not difficult for _, _, difficult in class_truths)
    if not positives:
        return float("nan")
    taken, hits = set(), []
    for image, box, _ in sorted(class_dets, key=lambda row: (-row[2], row[0], row[1])):
        best, target = -1, None
        for other in sorted(
            {row for row in class_truths if row[0] == image}, key=lambda row: row[1:]
        ):
            overlap = _inclusive_iou(box, other[1])
            if overlap > best:
                best, target = overlap, other
        if float(best) < iou_min:
            hits.append(False)
        elif not target[2]:
            hits.append(target not in taken)
            taken.add(target)
    hits_upto = [sum(hits[: n + 1]) for n in range(len(hits))]
    curve = [
        (Fraction(k, positives), Fraction(k, n)) for n, k in enumerate(hits_upto, start=1)
    ]  # recall, precision
    stops = (
        [Fraction(k, 10) for k in range(11)]
        if eleven_point
        else [Fraction(k + 1, positives) for k in range(positives)]
    )
    return float(
        sum(max((p for r, p in curve if r >= stop), default=Fraction(0)) for stop in stops)
        / len(stops)
    )


def greedy_nms(dets, iou_max, *, candidates_max, keep_max):
    """The rows that survive, by image, best first: a list of lists of row numbers."""
    kept = []
    for image in range(len(dets.image_ids)):
        rows = [row for row in range(len(dets)) if dets.image[row] == image]
        alive = []
        for row in sorted(rows, key=lambda row: -dets.score[row])[:candidates_max]:
            box = _inclusive(dets.xyxy[row])
            rivals = [_inclusive(dets.xyxy[k]) for k in alive if dets.label[k] == dets.label[row]]
            if all(float(_inclusive_iou(box, rival)) <= iou_max for rival in rivals):
                alive.append(row)
        kept.append(alive[:keep_max])
    return kept


def _rows(table, last):
    return zip(
        table.image.tolist(), table.label.tolist(), table.xyxy.tolist(), last.tolist(), strict=True
    )


def _inclusive(xyxy):
    """VOC's xmin, ymin, xmax, ymax: the first and the last pixel inside."""
    x1, y1, x2, y2 = (Fraction(float(v)) for v in xyxy)
    return x1 + 1, y1 + 1, x2, y2


def _inclusive_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return Fraction(0)
    area_a, area_b = ((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b))
    return width * height / (area_a + area_b - width * height)


def crowd(seed, boxes=120):
    """One class in one image: many boxes that overlap none of the others much, equal scores."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 80, (boxes, 2))
    xyxy = np.concatenate([low, low + rng.integers(1, 30, (boxes, 2))], axis=1)
    return detections(
        *np.column_stack([np.zeros((boxes, 2)), rng.integers(0, 21, boxes) / 20, xyxy])
    )


def pycocotools_curves(dets, truth):
    """COCOeval's precision (10, 101, C, 4, 3), recall (10, C, 4, 3) and twelve numbers.

    -1 where there is no truth.

    Images and classes are numbered by name, annotations by box, truths that are difficult last;
    those are crowds.
    """
    image, label = (np.argsort(np.argsort(names)) for names in (truth.image_ids, truth.classes))
    dataset = {
        "images": [{"id": int(i)} for i in image],
        "categories": [{"id": int(c)} for c in label],
    }
    tables = []
    for table, last in ((truth, truth.difficult), (dets, dets.score)):
        rows = [
            {
                "image_id": int(image[i]),
                "category_id": int(label[l]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "last": value,
            }
            for i, l, (x1, y1, x2, y2), value in sorted(_rows(table, last), key=lambda row: row[2:])
        ]
        for number, row in enumerate(rows, start=1):
            value = row.pop("last")
            area = row["bbox"][2] * row["bbox"][3]
            row |= {
                "id": number,
                "area": area,
                "score": value,
                "iscrowd": int(table is truth and value),
            }
        tables.append(COCO())
        tables[-1].dataset = dataset | {"annotations": rows}
    with contextlib.redirect_stdout(io.StringIO()):
        for table in tables:
            table.createIndex()
        evaluation = COCOeval(*tables, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.eval["precision"], evaluation.eval["recall"], evaluation.stats
