"""Why a detector scores what it scores, all at once."""

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
    """Errors, best confidence, confusions and calibration, at IoU 0.5."""

    tide: TideErrors
    curve: ConfidenceCurve  # of all classes together
    class_curves: dict[str, ConfidenceCurve]  # of the classes that have truth
    confusion: Confusion
    calibration: Calibration  # of all detections
    calibration_shown: Calibration  # of those from the confusion's conf


def diagnose(
    dets: Detections, truth: GroundTruth, *, rule: MatchRule = VOC, conf: float | None = None
) -> Diagnosis:
    """Detections after NMS against their truth.

    `rule` is that of the TIDE errors; everything else is judged as in `voc_map`. The confusion is
    that of detections scored `conf` or more, by default those from where F1 over all classes peaks.

    Raises InputError when the tables' images or classes differ, no truth counts, or an option is
    out of range.
    """
    matches = match(dets, truth)  # once, for all of them
    tide_errors = tide(matches, truth, rule=rule)
    curve = curve_over_all(matches)
    if conf is None:
        conf = curve.best.conf if curve.best else 0.0
    return Diagnosis(
        tide=tide_errors,
        curve=curve,
        class_curves=curves_by_class(matches),
        confusion=confusion(matches, truth, conf),
        calibration=calibration(matches),
        calibration_shown=calibration(matches.above(conf)),
    )
