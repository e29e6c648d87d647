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

HEADS = ("local.", "class", "both", "dupl.", "backgr.", "missed", "false+", "false-")
NAMED = 3  # classes, or pairs of them, that a line names


def diagnosis_json(found: Diagnosis) -> dict[str, Any]:
    """-> of the errors: map; fixes {fix: what it adds to mAP}; counts {fix: n}; per_class {name: ap and fixes, or
    None}; per_size. best_f1: all and per_class, each conf, precision, recall and f1, or None;
    confusion: conf, rows, columns, matrix; calibration: error, interval, excess, detections, bins,
    of all and of those shown.
    """
    errors, confused = found.tide, found.confusion
    gains = errors.per_class.items()
    aps = dict(zip(errors.classes, errors.ap.tolist(), strict=True))
    points = {name: curve.best for name, curve in found.class_curves.items()}
    return {
        "map": errors.mean,
        "fixes": errors.total,
        "counts": dict(zip(FIXES, errors.count[0].sum(1).tolist(), strict=True)),
        "per_class": {
            name: None if gain is None else {"ap": aps[name], **gain} for name, gain in gains
        },
        "per_size": errors.per_size,
        "best_f1": {
            "all": _point(found.curve.best),
            "per_class": {name: _point(points.get(name)) for name in errors.classes},
        },
        "confusion": {
            "conf": confused.conf,
            "rows": [*confused.classes, "background"],
            "columns": [*confused.classes, "missed"],
            "matrix": confused.matrix.tolist(),
        },
        "calibration": {
            "all": _calibration(found.calibration),
            "shown": _calibration(found.calibration_shown),
        },
    }


def diagnosis_in_words(found: Diagnosis) -> str:
    """What each fix adds to mAP, in all and by size; each class with its best confidence; then what stands out."""
    errors = found.tide
    lines = [
        f"mAP {errors.mean:.4f}; what fixing one kind of error alone would add, and how many there are",
        f"{'':<14}  {'all sizes':>16}" + "".join(f"  {size:>16}" for size in SIZES),
    ]
    added, counts = np.nanmean(errors.gain, 2), errors.count.sum(2)
    for f, fix in enumerate(FIXES):
        if f == len(KINDS):
            lines.append("the same errors as false alarms and as truths not found:")
        cells = zip(added[:, f], counts[:, f], strict=True)
        lines.append(f"{fix:<14}" + "".join(f"  {gain:.4f} {n:>9,}" for gain, n in cells))
    return "\n".join([*lines, "", *_class_lines(found), "", *_findings(found)])


def largest_gain(errors: TideErrors) -> str:
    """The kind of error that costs most, and the classes that it costs most; empty where there is no error."""
    kind = max(range(len(KINDS)), key=lambda k: errors.total[KINDS[k]])
    gain = errors.total[KINDS[kind]]
    if not gain:
        return ""
    by_class = np.nan_to_num(errors.gain[0, kind])
    worst = [int(c) for c in np.argsort(-by_class, kind="stable")[:NAMED] if by_class[c] > 0]
    return f"{KINDS[kind]}, {gain:.4f}; by class " + ", ".join(
        f"{errors.classes[c]} {by_class[c]:.4f}" for c in worst
    )


def most_confused(confused: Confusion) -> str:
    """Such as "dog taken for cat 12 times"."""
    mistakes = confused.mistakes()
    if not mistakes:
        return "no class taken for another"
    named = (f"{m.truth} taken for {m.taken_for} {_times(m.count)}" for m in mistakes[:NAMED])
    more = sum(mistake.count for mistake in mistakes[NAMED:])
    return ", ".join(named) + (f", {more:,} more" if more else "")


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _class_lines(found: Diagnosis) -> list[str]:
    """A table of AP, what each fix adds, the best F1 and its confidence."""
    errors = found.tide
    width = max(map(len, (*errors.classes, "class")))
    heads = ("AP", *HEADS, "best F1", "at conf")
    lines = [f"{'class':<{width}}" + "".join(f"  {head:>7}" for head in heads)]
    for name, ap, gain in zip(errors.classes, errors.ap, errors.gain[0].T, strict=True):
        if np.isnan(ap):
            lines.append(f"{name:<{width}}  no truth")
            continue
        best = found.class_curves[name].best
        values = (ap, *gain, *((best.f1, best.conf) if best else ()))
        lines.append(f"{name:<{width}}" + "".join(f"  {x:>7.4f}" for x in values))
    return lines


def _findings(found: Diagnosis) -> list[str]:
    """What to look at next, a line each."""
    confused, best, gain = found.confusion, found.curve.best, largest_gain(found.tide)
    alarms, truths = confused.matrix[-1], int(confused.matrix[:-1].sum())
    worst = [int(c) for c in np.argsort(-alarms[:-1], kind="stable")[:NAMED] if alarms[c]]
    of = ", ".join(f"{confused.classes[c]} {alarms[c]:,}" for c in worst)
    lines = [f"most to gain   {gain}"] if gain else []
    if best:
        reached = f"precision {best.precision:.4f}, recall {best.recall:.4f}"
        lines.append(f"best F1        {best.f1:.4f} at conf {best.conf:.4f}: {reached}")
    return [
        *lines,
        f"calibration    {_calibrated(found.calibration)}",
        f"of the detections from conf {confused.conf:.4f}:",
        f"most confused  {most_confused(confused)}",
        f"missed         {confused.missed:,} of {truths:,} truths",
        f"false alarms   {confused.false_positives:,}" + (f": {of}" if of else ""),
        f"calibration    {_calibrated(found.calibration_shown)}",
    ]


def _calibrated(measured: Calibration) -> str:
    if measured.error is None or measured.excess is None:
        return "nothing to measure"
    way = "above" if measured.excess > 0 else "below"
    n = int(measured.count.sum())
    between = (
        " (95 % over images {:.4f} to {:.4f})".format(*measured.interval)
        if measured.interval
        else ""
    )
    off = f"scores {abs(measured.excess):.4f} {way} the share of hits"
    return f"ECE {measured.error:.4f}{between} over {n:,} detections, {off}"


def _point(best: OperatingPoint | None) -> dict[str, float] | None:
    return asdict(best) if best else None


def _calibration(measured: Calibration) -> dict[str, Any]:
    columns = zip(
        measured.count.tolist(), measured.score.tolist(), measured.hits.tolist(), strict=True
    )
    bins = [
        {
            "from": b / BINS,
            "to": (b + 1) / BINS,
            "detections": n,
            "score": score if n else None,
            "hits": hits if n else None,
        }
        for b, (n, score, hits) in enumerate(columns)
    ]
    n = int(measured.count.sum())
    of_all = {"error": measured.error, "interval": measured.interval, "excess": measured.excess}
    return of_all | {"detections": n, "bins": bins}
