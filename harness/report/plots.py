"""A run's log as figures: a PNG for its folder, and one SVG per panel for its page.

matplotlib is imported inside the functions: who trains without drawing does not wait for it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evaluate.files import written_whole
from evaluate.metrics.voc import PrecisionRecall
from harness.report.figure import COLOURS, INK, PANEL, style, svg
from harness.run_folder import LogLine, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def best_epoch(epochs: list[LogLine]) -> tuple[float, int, str]:
    """The highest AP50, its epoch (from 1), and whether "model" or "ema" reached it.

    Epoch 0 is the start, where it was validated. Of equal ones the first.
    """
    scored = [
        (value, line["epoch"] + 1, which) for line in epochs for which, value in line["map"].items()
    ]
    return max(scored, key=lambda item: item[0])


def save_curves(log: Path, out: Path) -> None:
    """Write loss and AP50 by epoch, side by side, as a PNG. The log must hold a whole epoch."""
    from matplotlib.figure import Figure

    steps, epochs = read_log(log)
    with style():
        figure = Figure(figsize=(2 * PANEL[0], PANEL[1]), layout="constrained")
        left, right = figure.subplots(1, 2)
        plot_loss(left, steps)
        plot_map(right, epochs)
        with written_whole(out) as scratch:
            figure.savefig(scratch, format="png", dpi=150)


def curves_svg(steps: list[LogLine], epochs: list[LogLine]) -> list[str]:
    """The same panels as SVG elements. A panel without data is left out."""
    panels = (("Training loss", plot_loss, steps), ("AP50 on validation", plot_map, epochs))
    return [svg(name, plot, lines) for name, plot, lines in panels if lines]


def plot_loss(axes: "Axes", steps: list[LogLine]) -> None:
    """The total loss of every step in a faint line; each epoch's mean, total and parts, in strong
    ones, over the middle of the epoch.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    # One faint value per step, placed by the share of its epoch that is done.
    names = list(steps[0]["loss"])
    parts = np.array([[step["loss"][name] for name in names] for step in steps])  # (S, P)
    epoch = np.array([step["epoch"] for step in steps])
    steps_per_epoch = np.bincount(epoch).max()
    done = (1 + np.array([step["step"] for step in steps])) / steps_per_epoch  # (S,) epochs
    axes.plot(done, parts.sum(1), color=INK, alpha=0.2, linewidth=0.6)

    # Strong means over the middle of each epoch: the losses vary from step to step.
    epochs = np.unique(epoch)
    means = np.array([parts[epoch == e].mean(0) for e in epochs])  # (E, P)
    axes.plot(epochs + 0.5, means.sum(1), color=INK, marker=".", label="total")
    for i, name in enumerate(names):
        axes.plot(
            epochs + 0.5, means[:, i], color=COLOURS[i % len(COLOURS)], marker=".", label=name
        )

    axes.set(title="Training loss", xlabel="epoch", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")  # 0.5, where the default is 5 x 10^-1
    axes.yaxis.set_minor_formatter("")
    axes.legend(loc="upper right", ncols=2)


def plot_map(axes: "Axes", epochs: list[LogLine]) -> None:
    """AP50 of the model and of its averaged weights after each epoch; a ring marks the best.

    A validated start stands at 0.
    """
    from matplotlib.ticker import MaxNLocator

    done = [line["epoch"] + 1 for line in epochs]
    for which, colour, name in (
        ("ema", COLOURS[0], "averaged weights (EMA)"),
        ("model", COLOURS[1], "model"),
    ):
        scores = [line["map"][which] for line in epochs]
        axes.plot(done, scores, color=colour, marker=".", label=name)
    best, epoch, _ = best_epoch(epochs)
    axes.plot(
        epoch,
        best,
        "o",
        color=INK,
        fillstyle="none",
        markersize=10,
        label=f"best: {best:.4f} at " + (f"epoch {epoch}" if epoch else "the start"),
    )
    axes.set(title="AP50 on validation", xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower right")


def pr_points(curve: PrecisionRecall) -> str:
    """Points for an SVG polyline in a box of 100 x 100: recall to the right, precision upwards.

    At most a hundred, evenly taken: more than the pixels of the box would show.
    """
    thinned = slice(None, None, -(-len(curve.recall) // 100) or 1)
    points = zip(100 * curve.recall[thinned], 100 - 100 * curve.precision[thinned], strict=True)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
