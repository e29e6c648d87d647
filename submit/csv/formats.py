"""A competition's CSV from and to the table: one row per image, its boxes in one cell.

A `Profile` says how. By default as the study reports have it (`submit/csv/profiles/voc-list.toml`):

    id,image_id,prediction_list
    1,000001.jpg,"[['dog', 0.91235, 48.00, 240.00, 195.00, 371.00]]"
    2,000002.jpg,[]

A sample_submission.csv of the competition gives the names of the columns, the rows' numbers and
their order.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluate.exceptions import InputError
from evaluate.exchange.rows import Size
from evaluate.files import written_whole
from evaluate.tables import Array, Detections
from submit.csv.cells import format_cells
from submit.csv.coordinates import to_xyxy
from submit.csv.parsing import parse_submission, require_same_images
from submit.csv.profile import Profile, load_profile
from submit.csv.rows import Columns, quoted, read_sample

SIZES_WANTED = (
    "boxes are normalized coordinates: want --data DATA --split SPLIT, for the photos' sizes"
)


def write_submission(
    dets: Detections,
    path: Path,
    *,
    profile: Profile | None = None,
    sample: Path | None = None,
    sizes: Sequence[Size] | None = None,
) -> None:
    """Write a row for every image of the table, best box first, to `path` whole or not at all.

    sizes: of the images, in order; needed for normalized coordinates. A box less than one pixel
    wide or high becomes one pixel where the last pixel counts, since it would be inside out
    otherwise.

    With the competition's `sample` its columns, numbers and order are kept, and its rows that are
    not about an image are copied; without, numbers count from 1 in table order. Raises InputError
    when sample and table list other images, and for classes that the profile cannot say.
    """
    profile = profile or load_profile()
    names = profile.names(dets.image_ids)
    formatted = format_cells(dets, profile, _widths_and_heights(profile, sizes))
    cell_of = dict(zip(names, formatted, strict=True))
    header, number_of = profile.header, {name: str(n) for n, name in enumerate(names, start=1)}
    if sample:
        asked = read_sample(sample, profile)
        others = {
            name: str(row.cell, "utf-8")
            for name, row in asked.rows.items()
            if not profile.is_image(name)
        }
        require_same_images(sample, asked.rows.keys() - others.keys(), names)
        header, cell_of = asked.header, cell_of | others
        number_of = {name: row.number for name, row in asked.rows.items()}

    columns = Columns.of(profile)
    with written_whole(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        file.write(",".join(map(quoted, header)) + profile.line_end)
        for name, number in number_of.items():
            fields = columns.fields(number, name, cell_of[name])
            file.write(",".join(map(quoted, fields)) + profile.line_end)


def read_submission(
    path: Path,
    classes: Sequence[str] | None = None,
    *,
    image_ids: Sequence[str] | None = None,
    profile: Profile | None = None,
    sample: Path | None = None,
    sizes: Sequence[Size] | None = None,
) -> Detections:
    """The table that a CSV holds; `parse_submission` says what the arguments mean and what raises.

    sizes: of the `image_ids`, in order; needed for normalized coordinates.
    """
    profile = profile or load_profile()
    parsed = parse_submission(path, classes, image_ids=image_ids, profile=profile, sample=sample)
    size = _widths_and_heights(profile, sizes)
    xyxy = to_xyxy(parsed.numbers[:, 1:], profile, None if size is None else size[parsed.image])
    return Detections(
        parsed.image_ids,
        parsed.classes,
        parsed.image.astype(np.int32),
        parsed.label,
        xyxy.astype(np.float32),
        parsed.numbers[:, 0].astype(np.float32),
    )


def _widths_and_heights(profile: Profile, sizes: Sequence[Size] | None) -> Array | None:
    """(I, 2) for normalized coordinates, else None."""
    if not profile.normalized:
        return None
    if sizes is None:
        raise InputError(SIZES_WANTED)
    return np.array(sizes, np.float64).reshape(-1, 2)[:, ::-1]
