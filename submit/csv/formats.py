"""A competition's CSV from and to the table: a row an image, its boxes in one cell, as a `Profile` says.

By default as the study reports have it (`submit/profiles/voc-list.toml`):

    id,image_id,prediction_list
    1,000001.jpg,"[['dog', 0.91235, 48.00, 240.00, 195.00, 371.00], ['person', 0.88090, 8.00, 12.00, 352.00, 498.00]]"
    2,000002.jpg,[]

A sample_submission.csv of the competition gives the names of the columns, the rows' numbers and their order.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluate.exceptions import InputError, refuse
from evaluate.exchange.names import bare_name
from evaluate.exchange.rows import Size
from evaluate.files import written_whole
from evaluate.tables import Array, Detections
from submit.csv import cells
from submit.csv.coordinates import to_xyxy
from submit.csv.profile import Profile, load_profile
from submit.csv.rows import Columns, Row, Sample, quoted, read_rows, read_sample


class Parsed(NamedTuple):
    """What a CSV says, its boxes as they are written."""

    image_ids: tuple[str, ...]
    classes: tuple[str, ...]
    image: Array  # (N,) rows of image_ids
    label: Array  # (N,) rows of classes
    numbers: Array  # (N, 5) score and the four of `Profile.box`


def write(
    dets: Detections,
    path: Path,
    *,
    profile: Profile | None = None,
    sample: Path | None = None,
    sizes: Sequence[Size] | None = None,
) -> None:
    """Write a row for every image of the table, best box first, to `path` whole or not at all.

    `sizes` of the images, in order, are needed where boxes are shares. A box less than one pixel wide or high becomes
    one pixel where the last pixel counts, for else it would be inside out. With the competition's `sample` its
    columns, numbers and order are kept, and its rows about something else than images as they are; without, numbers
    count from 1 in table order. Raises InputError when sample and table list other images, and for classes that the
    profile cannot say.
    """
    profile = profile or load_profile()
    names = profile.names(dets.image_ids)
    cell_of = dict(
        zip(names, cells.write(dets, profile, _widths_and_heights(profile, sizes)), strict=True)
    )
    header, numbers = (
        profile.header,
        {name: str(number) for number, name in enumerate(names, start=1)},
    )
    if sample:
        asked = read_sample(sample, profile)
        others = {
            name: str(row.cell, "utf-8")
            for name, row in asked.rows.items()
            if not profile.is_image(name)
        }
        _refuse_other_images(sample, asked.rows.keys() - others.keys(), names)
        header, cell_of = asked.header, cell_of | others
        numbers = {name: row.number for name, row in asked.rows.items()}
    columns = Columns.of(profile)
    with written_whole(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
        file.write(",".join(map(quoted, header)) + profile.line_end)
        for name, number in numbers.items():
            file.write(
                ",".join(map(quoted, columns.fields(number, name, cell_of[name])))
                + profile.line_end
            )


def read(
    path: Path,
    classes: Sequence[str] | None = None,
    *,
    image_ids: Sequence[str] | None = None,
    profile: Profile | None = None,
    sample: Path | None = None,
    sizes: Sequence[Size] | None = None,
) -> Detections:
    """The table that a CSV holds; see `parse`. `sizes` of the `image_ids`, in order, are needed for shares."""
    profile = profile or load_profile()
    found = parse(path, classes, image_ids=image_ids, profile=profile, sample=sample)
    size = _widths_and_heights(profile, sizes)
    xyxy = to_xyxy(found.numbers[:, 1:], profile, None if size is None else size[found.image])
    score = found.numbers[:, 0]
    return Detections(
        found.image_ids,
        found.classes,
        found.image.astype(np.int32),
        found.label,
        xyxy.astype(np.float32),
        score.astype(np.float32),
    )


def parse(
    path: Path,
    classes: Sequence[str] | None = None,
    *,
    image_ids: Sequence[str] | None = None,
    profile: Profile | None = None,
    sample: Path | None = None,
) -> Parsed:
    """What a CSV says. Images come in the order of `image_ids`, else of the sample, else of the file.

    Without `classes` they are those that the profile lists, else those that the file names, sorted.

    Raises BadRows with every bad row at once. Bad are: a cell or box that is not spelt as the profile says, an
    unknown class, a score that is no number from 0 to 1, a corner that is no pixel or share, a box inside out, and an
    image or a number that is repeated, missing or not the sample's (without sample: numbers from 1 to the last row).
    """
    profile = profile or load_profile()
    asked = read_sample(sample, profile) if sample else None
    rows = read_rows(path, profile, asked.header if asked else profile.header)
    wanted = list(asked.rows) if asked else list(dict.fromkeys(row.image for row in rows))
    names = [name for name in wanted if profile.is_image(name)]
    others = [name for name in wanted if not profile.is_image(name)]
    if image_ids is None:
        image_ids = names
    else:
        there = profile.names(image_ids)
        if asked and sample:
            _refuse_other_images(sample, names, there)
        names = there
    faults = list(_faults(rows, names, asked, profile))
    mine = [at for at, row in enumerate(rows) if profile.is_image(row.image)]
    classes = profile.listed if classes is None else tuple(classes)
    codes, row_of, label, numbers, bad = _boxes([rows[at].cell for at in mine], profile, classes)
    for at, fault in bad.items():
        faults[mine[at]] = faults[mine[at]] or fault
    problems = [f"{row}: {fault}" for row, fault in zip(rows, faults, strict=True) if fault]
    with_row = {row.image for row in rows}
    problems += [f"image {name} has no row" for name in [*names, *others] if name not in with_row]
    refuse(problems, file=path)
    if classes is None:
        classes = tuple(
            sorted(
                codes, key=lambda code: (len(code), code) if profile.classes == "numbers" else code
            )
        )
        label = np.array([classes.index(code) for code in codes], np.int64)[label]
    place = {name: at for at, name in enumerate(names)}
    image = np.array([place[rows[at].image] for at in mine], np.int32)[row_of]
    return Parsed(tuple(image_ids), classes, image, label.astype(np.int16), numbers)


def _boxes(
    texts: list[memoryview], profile: Profile, classes: Sequence[str] | None
) -> tuple[list[str], Array, Array, Array, dict[int, str]]:
    """The boxes of all cells that can be read, in order.

    -> what cells call classes; of N boxes their cell (N,), place among those (N,), and `Parsed.numbers` (N, 5); what
    is wrong with bad cells.
    """
    codes = None if classes is None else profile.codes(classes)
    place_of = {code: place for place, code in enumerate(codes or ())}
    count, *plain = cells.read_plain(texts, profile, codes or ())
    cell_of = [np.repeat(np.arange(len(texts)), count.clip(min=0))]
    places, numbers = ([column] for column in plain)
    bad = dict[int, str]()
    for at in np.flatnonzero(count < 0).tolist():
        try:
            called, boxes = cells.read(
                str(texts[at], "utf-8"), profile, codes if codes is None else place_of
            )
        except (ValueError, OverflowError) as error:
            bad[at] = str(error)
            continue
        cell_of.append(np.full(len(called), at))
        for code in dict.fromkeys(called):
            place_of.setdefault(code, len(place_of))
        places.append(np.array(list(map(place_of.__getitem__, called)), np.int16))
        numbers.append(boxes)
    of, place, table = cell_of[0], places[0], numbers[0]
    if len(cell_of) > 1:
        of, place, table = (np.concatenate(column) for column in (cell_of, places, numbers))
        in_order = np.argsort(of, kind="stable")
        of, place, table = of[in_order], place[in_order], table[in_order]
    good = np.all([mask for mask, _ in cells.checks(table, profile)], axis=0)
    for at in np.unique(of[~good]).tolist():
        try:
            cells.refuse_numbers(str(texts[at], "utf-8"), profile)
        except ValueError as error:
            bad[at] = str(error)
    return list(place_of), of, place, table, bad


def _faults(
    rows: list[Row], names: Collection[str], asked: Sample | None, profile: Profile
) -> Iterator[str]:
    """For each row what is wrong with its shape, its image or its number, "" where nothing is."""
    known, counted = set(names), {str(number) for number in range(1, len(rows) + 1)}
    images_seen, numbers_seen = dict[str, int](), dict[str, int]()
    for row in rows:
        ours = profile.is_image(row.image)
        if row.fault:
            yield row.fault
        elif not row.image or (
            row.image not in known if ours else asked and row.image not in asked.rows
        ):
            yield "unknown image"
        elif row.image in images_seen:
            yield f"the image is on line {images_seen[row.image]} already"
        elif profile.number and row.number in numbers_seen:
            yield f"the id is on line {numbers_seen[row.number]} already"
        elif asked and row.number != asked.rows[row.image].number:
            yield f"want the sample's id {asked.rows[row.image].number}"
        elif profile.number and not asked and row.number not in counted:
            yield f"want an id from 1 to {len(rows)}"
        else:
            yield ""
        images_seen.setdefault(row.image, row.line)
        numbers_seen.setdefault(row.number, row.line)


def _refuse_other_images(sample: Path, wanted: Collection[str], there: Collection[str]) -> None:
    for extra, what in (
        (set(wanted) - set(there), "images that are not in the table"),
        (set(there) - set(wanted), "not all images of the table, it lacks"),
    ):
        if extra:
            bare = {bare_name(name) for name in there}
            hint = "; want image_suffix in a profile file?" if extra <= bare else ""
            raise InputError(
                f"{sample} lists {what}: {len(extra)}, such as {', '.join(sorted(extra)[:5])}{hint}"
            )


def _widths_and_heights(profile: Profile, sizes: Sequence[Size] | None) -> Array | None:
    """(I, 2), where boxes are shares of them."""
    if profile.unit != "shares":
        return None
    if sizes is None:
        raise InputError(
            "boxes are shares of the photo: want --data DATA --split SPLIT, for the photos' sizes"
        )
    return np.array(sizes, np.float64).reshape(-1, 2)[:, ::-1]
