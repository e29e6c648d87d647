"""What several commands share: options that mean the same everywhere, and the progress bar.

An option that many commands take is an alias here, such as `Split`. Options that always come
together are a frozen dataclass: a command that takes one with `Parameter(name="*")` has a flag for
each field, and `harness VERB --help` lists them like its own.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from evaluate.exceptions import InputError
from evaluate.progress import Advance
from evaluate.tables import GroundTruth
from submit.csv.profile import DEFAULT, load_profile

if TYPE_CHECKING:
    from harness.data.dataset import Dataset, OpenedData
    from harness.scoring import TableReader

AsJson = Annotated[bool, Parameter(name="--json", help="Print one JSON object instead of text.")]
Data = Annotated[
    Path | None,
    Parameter(help="VOC devkit folder, COCO JSON, YOLO data.yaml, or list file(s)."),
]
Images = Annotated[
    Path | None, Parameter(help="Folder of DATA's photos, where it is not beside DATA.")
]
Split = Annotated[str, Parameter(help="Name of a split of DATA, such as val.")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, ...")]
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
LEDGER = Path("runs/ledger.sqlite")  # unless --ledger or HARNESS_LEDGER names another
CandidatesMax = Annotated[
    int, Parameter(help="Boxes per image that enter NMS, the best scored first.")
]
KeepMax = Annotated[int, Parameter(help="Boxes per image that leave NMS, the best scored first.")]


@dataclass(frozen=True, kw_only=True)
class TruthSource:
    """The options that name the ground truth: a split of a data set, or one file."""

    data: Data = None
    split: Split = "val"
    images: Images = None
    truth: Annotated[
        Path | None, Parameter(help="Truth without a data set: a list file or a .npz table.")
    ] = None

    @property
    def name(self) -> str:
        """What the leaderboard calls this truth: the split, or the file's name."""
        return self.split if self.truth is None else self.truth.name

    @cached_property
    def opened(self) -> "OpenedData":
        """DATA, opened once."""
        from harness.data.dataset import open_data

        assert self.data is not None
        return open_data(self.data, self.images)

    def load(self) -> GroundTruth:
        """Raises InputError unless exactly one of --data and --truth is given."""
        if (self.data is None) == (self.truth is None):
            raise InputError("want either --data DATA --split SPLIT or --truth LIST.txt|X.npz")
        if self.truth is not None and self.truth.suffix == ".npz":
            return GroundTruth.load(self.truth)
        if self.truth is not None:
            from harness.data.dataset import load_truth

            return load_truth(self.truth)
        dataset = self.opened.load(self.split)
        say_skipped(dataset)
        return dataset.truth


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """The options that say how a file of detections becomes the table that is judged."""

    conf: Annotated[
        float | None, Parameter(help="With --iou: first apply this cell of a sweep.")
    ] = None
    iou: Annotated[
        float | None, Parameter(help="With --conf: first apply this cell of a sweep.")
    ] = None
    candidates_max: CandidatesMax = 3000
    keep_max: KeepMax = 3000
    profile: ProfileName = DEFAULT

    def reader(self, source: TruthSource, truth: GroundTruth) -> "TableReader":
        """A reader of tables and submissions over the images of `truth`, loaded from `source`."""
        from harness.scoring import TableReader

        profile, sizes = load_profile(self.profile), None
        if profile.normalized and source.data is not None:  # it takes the photos' sizes
            sizes = source.opened.sizes(source.split, truth.image_ids)
        return TableReader(
            conf=self.conf,
            iou=self.iou,
            candidates_max=self.candidates_max,
            keep_max=self.keep_max,
            profile=profile,
            sizes=sizes,
        )


TRUTH, READING = TruthSource(), ReadingOptions()  # the defaults of every command
TruthOption = Annotated[TruthSource, Parameter(name="*")]
ReadingOption = Annotated[ReadingOptions, Parameter(name="*")]


def say_skipped(dataset: "Dataset") -> None:
    """Name the boxes without area that a split was loaded without, on stderr."""
    if dataset.skipped:
        first = dataset.skipped[0]
        print(
            f"{dataset.split}: {len(dataset.skipped)} degenerate boxes left out, such as {first}",
            file=sys.stderr,
        )


def parse_numbers(flag: str, text: str, example: str) -> list[float]:
    """The numbers of a flag: of "0.01,0.05" they are [0.01, 0.05]. Raises InputError."""
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(
            f"{flag} {text}: want numbers with commas between them, such as {example}"
        ) from None


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
