"""Photos as files: which files are photos, and how large an upright photo is. Nothing is decoded.

Boxes are those of the upright photo. A camera held sideways stores the rows as the sensor read them
and says in EXIF how to turn them; readers that ignore this swap the photo's sides. EXIF's
orientation is 1 (upright) to 8: 2 to 4 mirror or turn by half, 5 to 8 also swap width and height.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from evaluate.exceptions import InputError
from evaluate.exchange.names import PHOTO_SUFFIXES

EXIF_ORIENTATION = 0x0112


def list_photos(folder: Path) -> list[str]:
    """All photos below a folder as sorted POSIX paths relative to it, without hidden ones."""
    names = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(parent).relative_to(folder)
        names += [
            (inside / name).as_posix()
            for name in files
            if name.lower().endswith(PHOTO_SUFFIXES) and not name.startswith(".")
        ]
    return sorted(names)


def find_photos(sources: Sequence[Path]) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """image_ids and paths of photos given as files and as folders with everything below them.

    An image_id is the path below its folder, or the file's name. Raises InputError for a path that
    does not exist, for a folder without photos, and for two photos with one image_id.
    """
    named: list[tuple[str, Path]] = []
    for source in sources:
        if source.is_dir():
            inside = [(name, source / name) for name in list_photos(source)]
            if not inside:
                raise InputError(
                    f"{source}: want photos ({' '.join(PHOTO_SUFFIXES)}), the folder has none"
                )
            named += inside
        elif source.is_file():
            named.append((source.name, source))
        else:
            raise InputError(f"{source}: want a photo or a folder of photos, nothing is there")

    photos: dict[str, Path] = {}
    for image_id, path in named:
        if photos.setdefault(image_id, path) != path:
            raise InputError(
                f"two photos would both be {image_id}: {photos[image_id]} and {path}; "
                "give their folder"
            )
    return tuple(photos), tuple(photos.values())


def upright_size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright photo, from the header. Raises what PIL raises."""
    with Image.open(path) as image:
        width, height = image.size
        return (width, height) if orientation(image) >= 5 else (height, width)


def orientation(image: Image.Image) -> int:
    """EXIF's orientation of an opened photo, 1 where it says nothing."""
    return int(image.getexif().get(EXIF_ORIENTATION, 1)) if "exif" in image.info else 1
