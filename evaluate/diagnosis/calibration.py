"""Whether a score of 0.8 means that eight of ten such detections are hits."""

from dataclasses import dataclass

import numpy as np

from evaluate.metrics.bootstrap import percentile_interval, resample_counts
from evaluate.metrics.matching import Matches, image_by_id
from evaluate.tables import Array

BINS = 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores beside hits in bins of equal width, from 0 to 1. An empty bin has NaN."""

    count: Array  # (B,) int, detections
    score: Array  # (B,) float64, their mean score
    hits: Array  # (B,) float64, the share of them that are hits
    interval: (
        tuple[float, float] | None
    )  # 95 % of the error over test sets drawn from these images; None without it

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
        return (
            float(np.average(of_bin[filled], weights=self.count[filled])) if filled.any() else None
        )


def calibration(matches: Matches, *, iou_min: float = 0.5) -> Calibration:
    """Compare scores with hits, over all classes; neutral detections are left out.

    A bin holds its lower edge, the last one its upper edge too. Edges are rounded to float32 as scores are: a score of
    0.7 is in the bin from 0.7. A second box on one truth is no hit, so boxes from before NMS look overconfident. Chance
    only adds to an absolute gap, so with few detections the error is too high, and its interval lies higher still.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, https://arxiv.org/abs/1706.04599, equation 3.
    """
    counts = ~matches.neutral(iou_min)
    score, hits = matches.score[counts], matches.hits(iou_min)[counts]
    inner = (np.arange(1, BINS) / BINS).astype(np.float32)
    bins = np.searchsorted(inner, score, side="right")
    count = np.bincount(bins, minlength=BINS)
    image = image_by_id(matches.table)[matches.row][counts]
    interval = (
        _interval(bins, score - hits, image, len(matches.table.image_ids)) if len(bins) else None
    )
    sums = (np.bincount(bins, weights=column, minlength=BINS) for column in (score, hits))
    mean_score, mean_hits = (
        np.divide(s, count, out=np.full(BINS, np.nan), where=count > 0) for s in sums
    )
    return Calibration(count, mean_score, mean_hits, interval)


def _interval(bins: Array, gap: Array, image: Array, images: int) -> tuple[float, float]:
    """Of the error, where bins (n,), score less hit (n,) and image (n,) are those of its detections."""
    drawn = resample_counts(images, 1000, 0).astype(np.float64)
    gaps = np.bincount(bins * images + image, gap, BINS * images).reshape(BINS, images) @ drawn
    total = np.bincount(image, minlength=images) @ drawn
    some = total > 0
    return percentile_interval(np.abs(gaps[:, some]).sum(0) / total[some], 0.95)
