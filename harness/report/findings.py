"""What a diagnosis puts on the page of its run: numbers, words and figures for why.html."""

from dataclasses import dataclass

from evaluate.diagnosis.confusion import Confusion
from evaluate.diagnosis.diagnose import Diagnosis
from evaluate.diagnosis.operating_point import OperatingPoint
from harness.report.diagnosis_plots import plot_fixes, plot_operating, plot_reliability
from harness.report.diagnosis_text import largest_gain, most_confused
from harness.report.figure import svg

SIDE_BY_SIDE_MAX = 8  # classes; the names of more stand upright above the matrix


@dataclass(frozen=True)
class Square:
    """A cell of the confusion matrix."""

    count: int
    # 0 to 1. The root of the cell's share of its row, so that one in a hundred is still visible.
    heat: float
    right: bool  # on the diagonal: the class is the truth's


@dataclass(frozen=True)
class Findings:
    """A diagnosis as the page shows it."""

    diagnosis: Diagnosis
    costs: str  # the kind of error that costs most, and the classes; empty where nothing is wrong
    confused: str  # the classes most often mixed up
    truths: int
    rows: list[tuple[str, list[Square]]]  # of the confusion matrix, by name
    upright: bool  # whether the names above the matrix are
    points: dict[str, OperatingPoint | None]  # of each class with truth, where its F1 is highest
    fixes_svg: str
    operating_svg: str
    reliability_svg: str


def findings(diagnosis: Diagnosis) -> Findings:
    """The page's view of a diagnosis."""
    tide, confusion, calibration = diagnosis.tide, diagnosis.confusion, diagnosis.calibration
    curves = "Precision, recall and F1 over the lowest score"
    return Findings(
        diagnosis=diagnosis,
        costs=largest_gain(tide),
        confused=most_confused(confusion),
        truths=int(confusion.matrix[:-1].sum()),
        rows=_squares(confusion),
        upright=len(confusion.classes) > SIDE_BY_SIDE_MAX,
        points={name: curve.best for name, curve in diagnosis.class_curves.items()},
        fixes_svg=svg("What mending each kind of error would add", plot_fixes, tide),
        operating_svg=svg(curves, plot_operating, diagnosis),
        reliability_svg=svg("Share of hits at each score", plot_reliability, calibration),
    )


def _squares(confusion: Confusion) -> list[tuple[str, list[Square]]]:
    """The matrix by rows: the truths of each class, then background."""
    names = (*confusion.classes, "background")
    rows = []
    for t, (name, counts) in enumerate(zip(names, confusion.matrix.tolist(), strict=True)):
        total = sum(counts) or 1
        squares = [
            Square(n, heat=(n / total) ** 0.5, right=t == d < len(confusion.classes))
            for d, n in enumerate(counts)
        ]
        rows.append((name, squares))
    return rows
