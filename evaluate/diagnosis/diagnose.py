"""Why a detector scores what it scores: its errors, its best confidence, its confusions and its calibration.

Imports numba: import this module late.
"""

from dataclasses import dataclass

from evaluate.diagnosis.calibration import Calibration, calibration
from evaluate.diagnosis.confusion import Confusion, confusion
from evaluate.diagnosis.operating_point import ConfidenceCurve, curve_over_all, curves_by_class
from evaluate.diagnosis.tide import TideErrors, tide
from evaluate.diagnosis.verdicts import VOC, MatchRule
from evaluate.metrics.matching import match
from evaluate.tables import Detections, GroundTruth


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """All of it at IoU 0.5."""

    tide: TideErrors
    curve: ConfidenceCurve  # of all classes together
    class_curves: dict[str, ConfidenceCurve]  # of the classes that have truth
    confusion: Confusion
    calibration: Calibration  # of all detections
    calibration_shown: Calibration  # of those from the confusion's conf


def diagnose(
    dets: Detections, truth: GroundTruth, *, rule: MatchRule = VOC, conf: float | None = None
) -> Diagnosis:
    """Detections after NMS against their truth; the confusion at `conf`, by default where F1 over all classes peaks.

    `rule` is that of the errors; everything else is judged as in `voc_map`. Raises what `tide` raises.
    """
    found = tide(dets, truth, rule=rule)
    matches = match(dets, truth)
    curve = curve_over_all(matches)
    if conf is None:
        conf = curve.best.conf if curve.best else 0.0
    shown = calibration(matches.above(conf))
    confused = confusion(dets, truth, conf)
    return Diagnosis(found, curve, curves_by_class(matches), confused, calibration(matches), shown)
