"""What other tools call an image: its id without the photo's suffix."""

from collections.abc import Sequence

from evaluate.exceptions import refuse

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def bare_name(image_id: str) -> str:
    """The id without a photo's suffix: sub/000001.JPG -> sub/000001. Other dots stay, as in a.b."""
    stem, dot, suffix = image_id.rpartition(".")
    return stem if dot + suffix.lower() in PHOTO_SUFFIXES else image_id


def bare_names(image_ids: Sequence[str], suffix: str = "") -> dict[str, int]:
    """What another tool calls each image, its bare name and `suffix` -> its row, in order.

    Raises BadRows when two images would have one name.
    """
    rows_of: dict[str, list[int]] = {}
    for row, image_id in enumerate(image_ids):
        rows_of.setdefault(bare_name(image_id) + suffix, []).append(row)
    shared = {
        name: [image_ids[row] for row in rows] for name, rows in rows_of.items() if len(rows) > 1
    }
    refuse([f"{' and '.join(ids)} would both be {name!r} there" for name, ids in shared.items()])
    return {name: rows[0] for name, rows in rows_of.items()}
