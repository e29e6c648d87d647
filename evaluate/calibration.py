"""Whether a score of 0.8 means that eight of ten such detections are hits."""

from dataclasses import dataclass

import numpy as np

from evaluate.matching import Matches
from evaluate.tables import Array

BINS = 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores beside hits in bins of equal width, from 0 to 1. An empty bin has NaN."""

    count: Array  # (B,) int, detections
    score: Array  # (B,) float64, their mean score
    hits: Array  # (B,) float64, the share of them that are hits

    @property
    def error(self) -> float | None:
        """Expected calibration error: |mean score - share of hits| of a bin, averaged over the detections."""
        return self._mean(np.abs(self.score - self.hits))

    @property
    def excess(self) -> float | None:
        """Mean score less share of hits over all detections: above 0 the scores promise too much."""
        return self._mean(self.score - self.hits)

    def _mean(self, of_bin: Array) -> float | None:
        """The mean over the detections of a value of their bin, None where there are none."""
        filled = self.count > 0
        return float(np.average(of_bin[filled], weights=self.count[filled])) if filled.any() else None


def calibration(matches: Matches, *, iou_min: float = 0.5) -> Calibration:
    """Compare scores with hits, over all classes; neutral detections are left out.

    A bin holds its lower edge, the last one its upper edge too. Edges are rounded to float32 as scores are: a score of
    0.7 is in the bin from 0.7. A second box on one truth is no hit, so boxes from before NMS look overconfident.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, https://arxiv.org/abs/1706.04599, equation 3.
    """
    counts = ~matches.neutral(iou_min)
    score, hits = matches.score[counts], matches.hits(iou_min)[counts]
    inner = (np.arange(1, BINS) / BINS).astype(np.float32)
    bins = np.searchsorted(inner, score, side="right")
    count = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, weights=column, minlength=BINS) for column in (score, hits))
    means = (np.divide(total, count, out=np.full(BINS, np.nan), where=count > 0) for total in sums)
    return Calibration(count, *means)
