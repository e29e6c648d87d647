"""What a diagnosis puts on the page of its run."""

from dataclasses import dataclass

from evaluate.diagnosis.confusion import Confusion
from evaluate.diagnosis.diagnose import Diagnosis
from evaluate.diagnosis.operating_point import OperatingPoint
from harness.report.diagnosis_plots import plot_fixes, plot_operating, plot_reliability
from harness.report.diagnosis_text import largest_gain, most_confused
from harness.report.figure import svg

SIDE_BY_SIDE_MAX = 8  # classes; the names of more stand on end above the matrix


@dataclass(frozen=True)
class Square:
    """A cell of the confusion matrix."""

    count: int
    heat: float  # 0 to 1, root of its share of the row: a share of one in a hundred is seen
    right: bool


@dataclass(frozen=True)
class Findings:
    """Numbers, words and figures of a diagnosis."""

    diagnosis: Diagnosis
    costs: str  # the kind of error that costs most, and the classes; empty where nothing is wrong
    confused: str  # the classes most often mixed up
    truths: int
    rows: list[tuple[str, list[Square]]]  # of the confusion matrix
    upright: bool
    points: dict[str, OperatingPoint | None]  # of each class with truth, where its F1 is highest
    fixes_svg: str
    operating_svg: str
    reliability_svg: str


def findings(found: Diagnosis) -> Findings:
    """The page's view of a diagnosis."""
    confused = found.confusion
    return Findings(
        diagnosis=found,
        costs=largest_gain(found.tide),
        confused=most_confused(confused),
        truths=int(confused.matrix[:-1].sum()),
        rows=_squares(confused),
        upright=len(confused.classes) > SIDE_BY_SIDE_MAX,
        points={name: curve.best for name, curve in found.class_curves.items()},
        fixes_svg=svg("What mending each kind of error would add", plot_fixes, found.tide),
        operating_svg=svg("Precision, recall and F1 over the lowest score", plot_operating, found),
        reliability_svg=svg("Share of hits at each score", plot_reliability, found.calibration),
    )


def _squares(confused: Confusion) -> list[tuple[str, list[Square]]]:
    """The matrix by rows: the truths of each class, then background."""
    names = (*confused.classes, "background")
    rows = []
    for t, (name, counts) in enumerate(zip(names, confused.matrix.tolist(), strict=True)):
        total = sum(counts) or 1
        squares = [
            Square(n, (n / total) ** 0.5, t == d < len(confused.classes))
            for d, n in enumerate(counts)
        ]
        rows.append((name, squares))
    return rows
