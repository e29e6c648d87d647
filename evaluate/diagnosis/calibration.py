"""Whether a score of 0.8 means that eight of ten such detections are hits.

1. put the detections into ten bins by score, 0 to 0.1, 0.1 to 0.2 and so on
2. per bin, compare the mean score with the share of hits: in a calibrated detector they are equal
3. the expected calibration error (ECE) is the gap between them, averaged over the detections

Three detections: 0.875 (a hit) and 0.825 (a false positive) share a bin, with a mean score of 0.85
and half of them hits, a gap of 0.35; 0.2 (a false positive) is alone, a gap of 0.2. The error is
(2 * 0.35 + 1 * 0.2) / 3 = 0.3.

How far the error may move with other photos is told by the bootstrap: the images are drawn again
1,000 times with replacement, and the interval holds 95 % of the errors.
"""

from dataclasses import dataclass

import numpy as np

from evaluate.metrics.bootstrap import percentile_interval, resample_counts
from evaluate.metrics.matching import Matches, image_by_id
from evaluate.tables import Array

BINS = 10
REPLICATES = 1000
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Calibration:
    """Scores beside hits in B bins of equal width, from 0 to 1. An empty bin has NaN."""

    count: Array  # (B,) int, detections
    score: Array  # (B,) float64, their mean score
    hits: Array  # (B,) float64, the share of them that are hits
    interval: tuple[float, float] | None  # 95 % of `error` over resamples; None without detections

    @property
    def error(self) -> float | None:
        """Expected calibration error; None without detections."""
        return self._mean(np.abs(self.score - self.hits))

    @property
    def excess(self) -> float | None:
        """Mean score less share of hits, over all: above 0 the scores promise too much."""
        return self._mean(self.score - self.hits)

    def _mean(self, of_bin: Array) -> float | None:
        """The mean over the detections of a value of their bin, None where there are none."""
        filled = self.count > 0
        if not filled.any():
            return None
        return float(np.average(of_bin[filled], weights=self.count[filled]))


def calibration(matches: Matches, *, iou_min: float = 0.5) -> Calibration:
    """Compare scores with hits, over all classes; neutral detections are left out.

    A bin holds its lower edge, the last one its upper edge too. Edges are rounded to float32 as
    scores are: a score of 0.7 is in the bin from 0.7. A second box on one truth is no hit, so boxes
    from before NMS look overconfident. Chance only adds to an absolute gap, so with few detections
    the error is too high, and its interval lies higher still.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017,
    https://arxiv.org/abs/1706.04599, equation 3.
    """
    counts = ~matches.neutral(iou_min)
    score, hits = matches.score[counts], matches.hits(iou_min)[counts]

    # 1. the bin of each detection
    inner_edges = (np.arange(1, BINS) / BINS).astype(np.float32)
    bins = np.searchsorted(inner_edges, score, side="right")
    count = np.bincount(bins, minlength=BINS)

    # 2. the means of each bin
    sums = (np.bincount(bins, weights=column, minlength=BINS) for column in (score, hits))
    mean_score, mean_hits = (
        np.divide(of_bin, count, out=np.full(BINS, np.nan), where=count > 0) for of_bin in sums
    )

    # 3. the interval of their gaps
    interval = None
    if len(bins):
        image = image_by_id(matches.table)[matches.row][counts]
        interval = _interval(bins, score - hits, image, len(matches.table.image_ids))
    return Calibration(count, mean_score, mean_hits, interval)


def _interval(bins: Array, gap: Array, image: Array, images: int) -> tuple[float, float]:
    """The interval of the error.

    bins, gap (score less hit) and image (n,) are those of the detections. A replicate that draws an
    image w times has each gap of that image w times, so the gaps are added up per bin and image
    once, and a product with the counts gives their sums in every replicate.
    """
    drawn = resample_counts(images, REPLICATES, 0).astype(np.float64)  # (I, R)
    by_image = np.bincount(bins * images + image, gap, BINS * images).reshape(BINS, images)
    gaps = by_image @ drawn  # (B, R)
    detections = np.bincount(image, minlength=images) @ drawn  # (R,)
    filled = detections > 0
    errors = np.abs(gaps[:, filled]).sum(0) / detections[filled]
    return percentile_interval(errors, LEVEL)
