"""`harness errors` for people and for programs."""

from dataclasses import asdict
from typing import Any

import numpy as np

from evaluate.diagnosis.calibration import BINS, Calibration
from evaluate.diagnosis.confusion import Confusion
from evaluate.diagnosis.diagnose import Diagnosis
from evaluate.diagnosis.operating_point import OperatingPoint
from evaluate.diagnosis.tide import FIXES, TideErrors
from evaluate.diagnosis.verdicts import KINDS, SIZES

HEADS = ("local.", "class", "both", "dupl.", "backgr.", "missed", "false+", "false-")  # of FIXES
NAMED_MAX = 3  # classes, or pairs of them, that a line names


def diagnosis_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as one JSON object.

    map; fixes {fix: what it adds to mAP}; counts {fix: n}; per_class {name: ap and fixes, or None};
    per_size {size: fixes}; best_f1: all and per_class, each conf, precision, recall and f1, or
    None; confusion: conf, rows, columns, matrix; calibration: of all detections and of those
    shown, each error, interval, excess, detections, bins.
    """
    errors, confusion = diagnosis.tide, diagnosis.confusion
    ap = dict(zip(errors.classes, errors.ap.tolist(), strict=True))
    points = {name: curve.best for name, curve in diagnosis.class_curves.items()}
    return {
        "map": errors.mean,
        "fixes": errors.total,
        "counts": dict(zip(FIXES, errors.count[0].sum(1).tolist(), strict=True)),
        "per_class": {
            name: None if gain is None else {"ap": ap[name], **gain}
            for name, gain in errors.per_class.items()
        },
        "per_size": errors.per_size,
        "best_f1": {
            "all": _point_json(diagnosis.curve.best),
            "per_class": {name: _point_json(points.get(name)) for name in errors.classes},
        },
        "confusion": {
            "conf": confusion.conf,
            "rows": [*confusion.classes, "background"],
            "columns": [*confusion.classes, "missed"],
            "matrix": confusion.matrix.tolist(),
        },
        "calibration": {
            "all": _calibration_json(diagnosis.calibration),
            "shown": _calibration_json(diagnosis.calibration_shown),
        },
    }


def _point_json(point: OperatingPoint | None) -> dict[str, float] | None:
    return asdict(point) if point else None


def _calibration_json(calibration: Calibration) -> dict[str, Any]:
    columns = (calibration.count, calibration.score, calibration.hits)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    bins = [
        {
            "from": b / BINS,
            "to": (b + 1) / BINS,
            "detections": n,
            "score": score if n else None,  # JSON has no NaN
            "hits": hits if n else None,
        }
        for b, (n, score, hits) in enumerate(rows)
    ]
    return {
        "error": calibration.error,
        "interval": calibration.interval,
        "excess": calibration.excess,
        "detections": int(calibration.count.sum()),
        "bins": bins,
    }


def diagnosis_in_words(diagnosis: Diagnosis) -> str:
    """Three parts: what each fix adds to mAP, by size; a line per class; what stands out."""
    parts = (_fix_lines(diagnosis.tide), _class_lines(diagnosis), _finding_lines(diagnosis))
    return "\n\n".join("\n".join(lines) for lines in parts)


def _fix_lines(errors: TideErrors) -> list[str]:
    """A table of what each fix adds to mAP and how many errors it fixes, in all and by size."""
    lines = [
        f"mAP {errors.mean:.4f}; what fixing one kind of error alone would add, "
        "and how many there are",
        f"{'':<14}  {'all sizes':>16}" + "".join(f"  {size:>16}" for size in SIZES),
    ]
    gains, counts = np.nanmean(errors.gain, 2), errors.count.sum(2)  # (4, F)
    for f, fix in enumerate(FIXES):
        if f == len(KINDS):
            lines.append("the same errors as false positives and as false negatives:")
        cells = zip(gains[:, f], counts[:, f], strict=True)
        lines.append(f"{fix:<14}" + "".join(f"  {gain:.4f} {n:>9,}" for gain, n in cells))
    return lines


def _class_lines(diagnosis: Diagnosis) -> list[str]:
    """A table of AP, what each fix adds, the best F1 and its confidence."""
    errors = diagnosis.tide
    width = max(map(len, (*errors.classes, "class")))
    heads = ("AP", *HEADS, "best F1", "at conf")
    lines = [f"{'class':<{width}}" + "".join(f"  {head:>7}" for head in heads)]
    for name, ap, gain in zip(errors.classes, errors.ap, errors.gain[0].T, strict=True):
        if np.isnan(ap):
            lines.append(f"{name:<{width}}  no truth")
            continue
        best = diagnosis.class_curves[name].best
        values = (ap, *gain, *((best.f1, best.conf) if best else ()))
        lines.append(f"{name:<{width}}" + "".join(f"  {value:>7.4f}" for value in values))
    return lines


def _finding_lines(diagnosis: Diagnosis) -> list[str]:
    """What to look at next, one line each."""
    confusion, best = diagnosis.confusion, diagnosis.curve.best
    truths = int(confusion.matrix[:-1].sum())
    lines = []
    if gain := largest_gain(diagnosis.tide):
        lines.append(f"most to gain     {gain}")
    if best:
        rates = f"precision {best.precision:.4f}, recall {best.recall:.4f}"
        lines.append(f"best F1          {best.f1:.4f} at conf {best.conf:.4f}: {rates}")
    return [
        *lines,
        f"calibration      {_calibration_in_words(diagnosis.calibration)}",
        f"of the detections from conf {confusion.conf:.4f}:",
        f"most confused    {most_confused(confusion)}",
        f"missed           {confusion.missed:,} of {truths:,} truths",
        f"false positives  {_false_positives(confusion)}",
        f"calibration      {_calibration_in_words(diagnosis.calibration_shown)}",
    ]


def largest_gain(errors: TideErrors) -> str:
    """The kind of error that costs most, and the classes it costs most; empty without errors.

    Such as "background, 0.0310; by class dog 0.0500, cat 0.0120".
    """
    kind = max(range(len(KINDS)), key=lambda k: errors.total[KINDS[k]])
    gain = errors.total[KINDS[kind]]
    if not gain:
        return ""
    by_class = np.nan_to_num(errors.gain[0, kind])  # (C,)
    named = [f"{errors.classes[c]} {by_class[c]:.4f}" for c in _largest(by_class)]
    return f"{KINDS[kind]}, {gain:.4f}; by class {', '.join(named)}"


def most_confused(confusion: Confusion) -> str:
    """Such as "dog taken for cat 12 times"."""
    mistakes = confusion.mistakes()
    if not mistakes:
        return "no class taken for another"
    named = (f"{m.truth} taken for {m.taken_for} {_times(m.count)}" for m in mistakes[:NAMED_MAX])
    more = sum(mistake.count for mistake in mistakes[NAMED_MAX:])
    return ", ".join(named) + (f", {more:,} more" if more else "")


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _false_positives(confusion: Confusion) -> str:
    """How many, and the classes with most: "3: dog 2, cat 1"."""
    by_class = confusion.matrix[-1, :-1]  # (C,)
    named = ", ".join(f"{confusion.classes[c]} {by_class[c]:,}" for c in _largest(by_class))
    return f"{confusion.false_positives:,}" + (f": {named}" if named else "")


def _largest(by_class: Any) -> list[int]:
    """The classes of the few largest values above 0, the largest first. (C,) -> labels."""
    largest = np.argsort(-by_class, kind="stable")[:NAMED_MAX]
    return [int(c) for c in largest if by_class[c] > 0]


def _calibration_in_words(calibration: Calibration) -> str:
    if calibration.error is None or calibration.excess is None:
        return "nothing to measure"
    interval = ""
    if calibration.interval:
        interval = " (95 % over images {:.4f} to {:.4f})".format(*calibration.interval)
    side = "above" if calibration.excess > 0 else "below"
    return (
        f"ECE {calibration.error:.4f}{interval} over {int(calibration.count.sum()):,} detections, "
        f"scores {abs(calibration.excess):.4f} {side} the share of hits"
    )
