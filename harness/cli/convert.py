"""`harness convert`: tables from and to the files of other tools. No torch."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from evaluate.exceptions import BadRows, InputError
from harness.cli.options import Data, Images, Split
from submit.csv.profile import load_profile


def convert_command(
    source: Annotated[
        Path,
        Parameter(help="Table, submission, COCO .json, folder of text files, or the word truth."),
    ],
    target: Annotated[
        Path, Parameter(help="File or new folder to write; the suffix says the format.")
    ],
    /,
    *,
    data: Data = None,
    split: Split = "val",
    images: Images = None,
    truth: Annotated[
        Path | None, Parameter(help="In place of DATA: COCO JSON, list file or .npz table.")
    ] = None,
    to: Annotated[
        Literal["npz", "coco", "csv", "submission", "devkit", "yolo"] | None,
        Parameter(
            name="--format", help="Of TARGET; folders (devkit, yolo) and submissions need it."
        ),
    ] = None,
    profile: Annotated[
        str | None, Parameter(help="Format of a submission: a name, or a profile file (.toml).")
    ] = None,
) -> None:
    """Convert detections, or the truth of DATA, from and to the files of other tools: COCO, the VOC
    devkit, YOLO, pandas.
    """
    from harness.convert import Table, find_vocabulary, read_table, write_table

    of_data = str(source) == "truth"
    vocabulary = find_vocabulary(data, split, images=images, truth=truth, annotated=of_data)
    try:
        form = load_profile(profile) if profile else None
        if of_data and vocabulary and vocabulary.truth:
            table: Table = vocabulary.truth
        else:
            table = read_table(source, vocabulary, profile=form)
        write_table(table, target, vocabulary, format=to, profile=form, split=split)
    except BadRows as error:
        print("\n".join(error.problems), file=sys.stderr)
        raise InputError(
            f"{source}: bad rows, {len(error.problems)} listed above; nothing was written"
        ) from None
    print(f"{target}: {len(table):,} boxes on {len(table.image_ids):,} images")
