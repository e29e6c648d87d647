"""The AP50 that steers training and compares precisions: one NMS for all, no sweep.

Scores of at least 0.001 count, and NMS drops what overlaps a better box by more than 0.6: the usual
setting of YOLO's code. A sweep finds better thresholds and is what a submission uses; this number
is for saying which of two sets of weights is the better one.
"""

from evaluate.metrics.voc import voc_map
from evaluate.nms import nms
from evaluate.tables import Detections, GroundTruth

CONF_MIN = 0.001  # of the candidates
IOU_MAX = 0.6


def validation_ap50(
    candidates: Detections, truth: GroundTruth, *, candidates_max: int = 3000
) -> float:
    """AP50 in [0, 1] of candidates with scores from `CONF_MIN` on, after NMS."""
    return voc_map(nms(candidates, IOU_MAX, candidates_max=candidates_max), truth).map
