"""Several runs' tables into one: fuse. No torch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from evaluate.ensemble import fusion_file
from evaluate.ensemble.rule import FusionRule
from evaluate.exceptions import InputError
from evaluate.tables import Detections, GroundTruth
from harness.cli.options import TRUTH, AsJson, TruthOption, bar


def fuse_command(
    *tables: Annotated[
        Path, Parameter(help="Tables (.npz) over the same images and classes; candidates are fine.")
    ],
    out: Annotated[
        Path, Parameter(help="The table to write (.npz), or with --search the choice (.json).")
    ],
    rule: Annotated[FusionRule | None, Parameter(name="*")] = None,
    weights: Annotated[
        str | None, Parameter(help="One a table, such as 2,1,1. Default: all the same.")
    ] = None,
    recipe: Annotated[
        Path | None, Parameter(help="Fuse as this choice says, in place of the options above.")
    ] = None,
    search: Annotated[
        bool,
        Parameter(
            help="Find members, weights, method and IoUs with the truth, and say what they gain."
        ),
    ] = False,
    source: TruthOption = TRUTH,
    as_json: AsJson = False,
) -> None:
    """Fuse the tables of several runs into one; or find which to fuse, how, and whether it is worth it.

    A mean of a detector's many faint boxes around a thing is lower than its best, so wbf and nmw first put each table
    through NMS, at an IoU below the fusion's. The fused table is swept, applied and scored like any other.
    """
    if not tables:
        raise InputError("fuse: want at least one table")
    if (rule or weights) and (recipe or search):
        raise InputError(
            "fuse: --recipe and --search say how to fuse; leave out --weights, --method and the like"
        )
    if recipe and search:
        raise InputError(
            "fuse: --search finds a choice and --recipe takes one; want one of the two"
        )
    loaded = [Detections.load(path) for path in tables]
    if search:
        result, told = _search(loaded, tables, source.load(), out)
    else:
        result, told = _fuse(loaded, tables, rule or FusionRule(), weights, recipe, out)
    print(json.dumps(result) if as_json else f"{out}: {told}")


def _fuse(
    loaded: list[Detections],
    tables: tuple[Path, ...],
    rule: FusionRule,
    weights: str | None,
    recipe: Path | None,
    out: Path,
) -> tuple[dict[str, Any], str]:
    from evaluate.ensemble.fuse import fuse_tables

    counts: list[Any] | None = None
    if recipe is not None:
        rule, counts = fusion_file.load_choice(recipe, tables, loaded[0].classes)
    elif weights is not None:
        counts = _weights(weights)
    dets = fuse_tables(loaded, rule, weights=counts, names=[str(path) for path in tables]).dets
    dets.save(out)
    used = asdict(rule) | {"members_iou": rule.first_iou}
    result = {
        "out": str(out),
        "boxes": len(dets),
        "images": len(dets.image_ids),
        "rule": used,
        "weights": counts,
    }
    told = f"{len(dets):,} boxes on {len(dets.image_ids):,} images from {len(tables)} tables, {rule.method}"
    return result, told


def _search(
    loaded: list[Detections], tables: tuple[Path, ...], answers: GroundTruth, out: Path
) -> tuple[dict[str, Any], str]:
    from evaluate.ensemble.search import search

    with bar(None, desc="search", unit="ensemble") as shown:
        choice = search(loaded, answers, names=[str(path) for path in tables], done=shown.update)
    result = fusion_file.choice_json(choice, tables)
    fusion_file.save_choice(result, out)
    return result, fusion_file.choice_in_words(choice, tables)


def _weights(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise InputError(
            f"--weights {text}: want numbers with commas between them, such as 2,1,1"
        ) from None
