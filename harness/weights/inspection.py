"""What a weight file holds, read without running what is in it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluate.exceptions import InputError
from harness.recipe import Recipe
from harness.run_folder import Run
from harness.weights.catalogue import CATALOGUE, file_sha256
from harness.weights.checkpoint import read_weights
from models.unpickling import foreign_classes

CLASSES_SHOWN = 8


def inspect_weights(path: Path) -> dict[str, Any]:
    """What a weight file is. Raises InputError for a file of no known kind.

    "dtype" is the precision its numbers have; "parameters" leaves out what training does not move,
    such as batch norm's averages; "entry" is the catalogue's name for exactly this file.
    """
    if path.is_dir():
        raise InputError(f"{path}: want a weight file, such as {Run(path).best}, this is a folder")
    weights, recipe = read_weights(path)
    kind, ours = _kind(path, recipe)
    # Weights that were stored in half precision survive the way there and back unchanged.
    floats = [value for value in weights.state.values() if value.is_floating_point()]
    half = all(value.equal(value.half().float()) for value in floats)
    # Parameters are what training moves; batch norm's averages have other names.
    learned = [name for name in weights.state if name.rpartition(".")[2] in ("weight", "bias")]
    digest = file_sha256(path)
    published = (row.name for row in CATALOGUE.values() if row.sha256 == digest)
    return {
        "path": str(path),
        "kind": kind,
        "architecture": weights.architecture,
        "bytes": path.stat().st_size,
        "sha256": digest,
        "entry": next(published, None),
        "tensors": len(weights.state),
        "parameters": sum(weights.state[name].numel() for name in learned),
        "dtype": "float16" if half else "float32",
        "classes": list(weights.classes),
        "recipe": asdict(recipe) if ours and recipe else None,
    }


def inspection_text(inspection: dict[str, Any]) -> str:
    """What `inspect_weights` says, for people."""
    classes = inspection["classes"]
    names = ", ".join(classes[:CLASSES_SHOWN]) + (", ..." if len(classes) > CLASSES_SHOWN else "")
    row = CATALOGUE[inspection["entry"]] if inspection["entry"] else None
    lines = [
        f"{inspection['path']}: {inspection['kind']}, {inspection['architecture']}",
        f"  {inspection['bytes']:,} bytes, sha256 {inspection['sha256']}",
        f"  {row.name}: {row.contents}, {row.licence}, {row.url}"
        if row
        else "  not in `harness weights list`",
        f"  {inspection['tensors']:,} tensors, {inspection['parameters']:,} parameters, "
        f"{inspection['dtype']}",
        f"  {len(classes)} classes: {names}" if classes else "  no classes",
    ]
    if recipe := inspection["recipe"]:
        lines.append(
            f"  recipe: {recipe['model']}, head {recipe['head']}, "
            f"trained at {recipe['image_size']} pixels"
        )
    return "\n".join(lines)


def _kind(path: Path, recipe: Recipe | None) -> tuple[str, bool]:
    """What to call the file, and whether this harness wrote it. A backbone has no recipe."""
    with open(path, "rb") as file:
        zipped = file.read(2) == b"PK"
    if recipe is None:
        return "backbone", False
    if not zipped:
        return "Darknet weights", False
    if foreign_classes(path):
        return "YOLOv5 checkpoint", False
    return "checkpoint of this harness", True
