"""What several commands share: options that mean the same everywhere, and the progress bar."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from evaluate.exceptions import InputError
from evaluate.progress import Advance
from evaluate.tables import GroundTruth

if TYPE_CHECKING:
    from harness.data.dataset import Dataset

AsJson = Annotated[bool, Parameter(name="--json", help="Print one JSON object instead of text.")]
Data = Annotated[
    Path | None,
    Parameter(help="VOC devkit folder, COCO JSON, YOLO data.yaml, or list file(s)."),
]
Truth = Annotated[
    Path | None, Parameter(help="Truth without a data set: a list file or a .npz table.")
]
Images = Annotated[
    Path | None, Parameter(help="Folder of DATA's photos, where it is not beside DATA.")
]
Split = Annotated[str, Parameter(help="Name of a split of DATA, such as val.")]
ProfileName = Annotated[
    str,
    Parameter(
        name="--profile",
        help="Format of the CSV: a name such as vinbigdata, or a profile file (.toml).",
    ),
]
LedgerPath = Annotated[
    Path,
    Parameter(
        name="--ledger",
        env_var="HARNESS_LEDGER",
        help="Where scores and submissions are kept.",
    ),
]
LEDGER = Path("runs/ledger.sqlite")  # where neither --ledger nor HARNESS_LEDGER says another
CandidatesMax = Annotated[int, Parameter(help="Boxes an image that enter NMS, best first.")]
KeepMax = Annotated[int, Parameter(help="Boxes an image that leave NMS, best first.")]


def say_skipped(dataset: "Dataset") -> None:
    """Name the boxes without area that a split was loaded without, on stderr."""
    if dataset.skipped:
        first = dataset.skipped[0]
        print(
            f"{dataset.split}: {len(dataset.skipped)} degenerate boxes left out, such as {first}",
            file=sys.stderr,
        )


def bar(items: Iterable[Any] | None, **options: Any) -> Any:
    """A progress bar on stderr."""
    from tqdm import tqdm

    return tqdm(items, mininterval=0.5, **options)


@contextmanager
def bars(
    task: str, *, total: int | None = None, unit: str = "it", done: int = 0
) -> Iterator[Advance]:
    """A bar on stderr for each task: what every command hands to the library as `progress`."""
    from tqdm import tqdm

    with tqdm(
        desc=task,
        total=total,
        unit=unit,
        initial=done,
        unit_scale=unit == "B",
        mininterval=0.5,
        delay=0.1,
    ) as drawn:

        def advance(units: int = 1, /, **shown: str) -> None:
            if shown:
                drawn.set_postfix(shown, refresh=False)
            drawn.update(units)

        yield advance


def load_answers(
    data: Path | None, split: str, images: Path | None, truth: Path | None
) -> GroundTruth:
    """The truth that --data and --split, or --truth, name."""
    if (data is None) == (truth is None):
        raise InputError("want either --data DATA --split SPLIT or --truth LIST.txt|X.npz")
    if truth is not None and truth.suffix == ".npz":
        return GroundTruth.load(truth)
    from harness.data.dataset import load_split, load_truth

    if truth is not None:
        return load_truth(truth)
    assert data is not None
    dataset = load_split(data, split, images=images)
    say_skipped(dataset)
    return dataset.truth


@contextmanager
def download_bar() -> Iterator[Callable[[int, int], None]]:
    """What a download tells its progress to; nothing is shown before the first bytes."""
    with bar(None, desc="fetch", unit="B", unit_scale=True, delay=0.1) as shown:

        def show(done: int, total: int) -> None:
            shown.n, shown.total = done, total or None
            shown.update(0)

        yield show
