"""From files to a file: the tables of several runs to one table, or to an ensemble's choice."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluate.ensemble.choice import Choice, choice_json
from evaluate.ensemble.fuse import fuse_tables
from evaluate.ensemble.fusion_file import load_choice, save_choice
from evaluate.ensemble.rule import FusionRule
from evaluate.ensemble.search import search
from evaluate.progress import Progress, silent
from evaluate.tables import Detections, GroundTruth


def fuse_files(
    paths: Sequence[Path],
    out: Path,
    *,
    rule: FusionRule,
    weights: Sequence[float] | None = None,
    recipe: Path | None = None,
) -> dict[str, Any]:
    """Fuse the tables at `paths` into `out`. -> what was done, for JSON.

    A `recipe`, a file that `search_files` wrote, replaces `rule` and `weights`. Raises what
    `Detections.load`, `load_choice` and `fuse_tables` raise, and writes nothing then.
    """
    tables = [Detections.load(path) for path in paths]
    used_weights: Any = weights
    if recipe is not None:
        rule, used_weights = load_choice(recipe, paths, tables[0].classes)
    names = [str(path) for path in paths]
    dets = fuse_tables(tables, rule, weights=used_weights, names=names).dets
    dets.save(out)
    return {
        "out": str(out),
        "boxes": len(dets),
        "images": len(dets.image_ids),
        "rule": asdict(rule) | {"members_iou": rule.first_iou},
        "weights": used_weights,
    }


def search_files(
    paths: Sequence[Path], truth: GroundTruth, out: Path, *, progress: Progress = silent
) -> Choice:
    """Choose an ensemble of the tables at `paths` and write it to `out`, as `load_choice` reads it.

    Raises what `Detections.load` and `search` raise, and writes nothing then.
    """
    tables = [Detections.load(path) for path in paths]
    choice = search(tables, truth, names=[str(path) for path in paths], progress=progress)
    save_choice(choice_json(choice, paths), out)
    return choice
