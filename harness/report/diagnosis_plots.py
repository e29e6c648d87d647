"""A diagnosis as figures: what errors cost, what each confidence reaches, what scores are worth."""

from typing import TYPE_CHECKING

import numpy as np

from evaluate.diagnosis.calibration import BINS, Calibration
from evaluate.diagnosis.diagnose import Diagnosis
from evaluate.diagnosis.tide import TideErrors
from evaluate.diagnosis.verdicts import KINDS
from harness.report.figure import COLOURS, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_fixes(axes: "Axes", errors: TideErrors) -> None:
    """A bar for each kind, the costliest on top, with the number of errors beside it."""
    counts = errors.count[0].sum(1)
    order = sorted(range(len(KINDS)), key=lambda k: errors.total[KINDS[k]])
    gains = [errors.total[KINDS[k]] for k in order]
    axes.barh([KINDS[k] for k in order], gains, color=COLOURS[0], height=0.6)
    for y, (k, gain) in enumerate(zip(order, gains, strict=True)):
        axes.annotate(
            f"{gain:.4f}  ({counts[k]:,})",
            (gain, y),
            (5, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set(title="AP50 that mending one kind would add", xlim=(0, 1.45 * max(*gains, 1e-4)))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def plot_operating(axes: "Axes", diagnosis: Diagnosis) -> None:
    """Precision, recall and F1 over the lowest score shown; the best F1 is ringed.

    Lines of all classes together, and faint ones of the F1 of each class.
    """
    # Curves fall from the highest score on; steps are drawn from the lowest, and a value holds
    # down to the next lower score.
    for curve in diagnosis.class_curves.values():
        axes.step(
            curve.conf[::-1], curve.f1[::-1], where="pre", color=INK, alpha=0.18, linewidth=0.7
        )
    whole = diagnosis.curve
    for name, values, colour in (
        ("precision", whole.precision, COLOURS[0]),
        ("recall", whole.recall, COLOURS[1]),
        ("F1", whole.f1, INK),
    ):
        axes.step(whole.conf[::-1], values[::-1], where="pre", color=colour, label=name)
    if best := whole.best:
        label = f"best F1: {best.f1:.3f} from {best.conf:.3f}"
        axes.plot(best.conf, best.f1, "o", color=INK, fillstyle="none", markersize=10, label=label)
    axes.set(
        title="Precision, recall and F1", xlabel="lowest score shown", xlim=(0, 1), ylim=(0, 1.02)
    )
    axes.legend(loc="lower center")


def plot_reliability(axes: "Axes", calibration: Calibration) -> None:
    """Bars of the share of hits per bin of scores, with the number of detections above them.

    In a calibrated detector they reach the diagonal.
    """
    filled = np.flatnonzero(calibration.count)
    middle = (filled + 0.5) / BINS
    axes.bar(
        middle,
        calibration.hits[filled],
        width=0.9 / BINS,
        color=COLOURS[0],
        alpha=0.8,
        label="share of hits",
    )
    axes.plot([0, 1], [0, 1], "--", color=INK, linewidth=1, label="score = share of hits")
    axes.plot(
        calibration.score[filled],
        calibration.hits[filled],
        "o",
        color=INK,
        markersize=3.5,
        label="at the mean score",
    )
    # The numbers stand above the bars, but clear of the diagonal.
    above = np.maximum(calibration.hits[filled], (filled + 1) / BINS)
    for x, y, count in zip(middle, above, calibration.count[filled], strict=True):
        axes.annotate(
            _short(count), (x, y), (0, 4), textcoords="offset points", ha="center", fontsize=7.5
        )
    axes.set(title="What a score is worth", xlabel="score", xlim=(0, 1), ylim=(0, 1.12))
    axes.legend(loc="upper left")


def _short(count: int) -> str:
    """7, 950, 1.4k or 32k."""
    if count < 1000:
        return f"{count}"
    return f"{count / 1000:.1f}k" if count < 9950 else f"{count / 1000:.0f}k"
