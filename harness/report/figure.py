"""How the figures of a run look, and how one becomes part of the page.

A figure is drawn in fixed colours, because matplotlib knows no others. On the page each becomes a
variable of the style sheet, so that the figure follows the reader's light or dark scheme, and text
stays text in the page's font.

matplotlib is imported inside the functions: who trains without drawing does not wait for it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from harness.images.drawing import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#16191d"  # text and axes
COLOURS = tuple("#{:02x}{:02x}{:02x}".format(*colour) for colour in PALETTE)
ON_PAGE = {INK: "currentColor"} | {colour: f"var(--series-{i})" for i, colour in enumerate(COLOURS)}
PANEL = (4.8, 3.2)  # inches


def svg(name: str, plot: Callable[["Axes", Any], None], data: Any) -> str:
    """A panel with `data` plotted by `plot`, as an <svg> element of the page.

    `name` is what a screen reader says in its place. The same data give the same text.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=PANEL, layout="constrained")
        plot(figure.subplots(), data)
        file = StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]  # no XML declaration, no DOCTYPE
    text = re.sub("<[^>]+>", _round_numbers, text)
    for colour, variable in ON_PAGE.items():
        text = text.replace(colour, variable)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(name)}" ', 1)


def _round_numbers(tag: re.Match[str]) -> str:
    """The tag, its numbers cut to hundredths of a point: finer than any screen, half the size."""
    return re.sub(r"(\.\d\d)\d+", r"\1", tag[0])


@contextmanager
def style() -> Iterator[None]:
    """The look of our figures, for as long as one is made: a context, nothing process-wide."""
    import matplotlib

    settings: Any = {  # matplotlib types every key
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
        ),
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titleweight": "bold",
        "axes.titlesize": 10,
        "font.size": 9,
        "grid.alpha": 0.12,
        "grid.color": INK,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.markersize": 4,
        "path.simplify_threshold": 0.5,  # points of the page, about a pixel
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "harness",  # the same ids every time
    }
    with matplotlib.rc_context(settings):
        yield
