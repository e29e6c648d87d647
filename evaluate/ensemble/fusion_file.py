"""fusion.json: how an ensemble is made, so that other splits' tables are fused in the same way.

    members   the tables that it was chosen for, such as runs/v5l/val.npz
    weights   one per member: a number, or an object of numbers by class name
    rule      the fields of FusionRule

What `harness fuse --search` writes has more in it (`choice.choice_json`); who writes one by hand
needs these three.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from evaluate.ensemble.rule import FusionRule
from evaluate.exceptions import InputError
from evaluate.files import written_whole


@dataclass(frozen=True)
class _Content:
    """A file that was read."""

    everything: dict[str, Any]  # also what fusing does not need
    members: list[Path]
    weights: list[Any]
    rule: FusionRule


def save_choice(content: dict[str, Any], path: Path) -> None:
    """Write to `path` whole or not at all."""
    with written_whole(path) as scratch:
        scratch.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_choice(
    path: Path, tables: Sequence[Path], classes: Sequence[str]
) -> tuple[FusionRule, list[list[float]]]:
    """-> the rule, and the weights of `tables` by class (M, C).

    The tables may be those of another split, if they belong to the same runs in the same order:
    v5n/val.npz goes with v5n/test.npz, and val/v5n.npz with test/v5n.npz. Raises InputError when
    they do not, or the file is something else.
    """
    content = _read(path)
    if not _same_runs(content.members, tables):
        wanted, given = (", ".join(map(str, files)) for files in (content.members, tables))
        raise InputError(
            f"{path}: want tables of the runs {wanted}, in this order; there are {given}"
        )
    return content.rule, [_by_class(path, weight, classes) for weight in content.weights]


def ensemble_settings(path: Path) -> dict[str, Any]:
    """All that is in the file, and `model`, which names the method and the members that count.

    For the leaderboard. Raises InputError when the file is something else.
    """
    content = _read(path)
    weighted = zip(content.members, content.weights, strict=False)
    names = [member.parent.name or member.stem for member, weight in weighted if weight]
    return {"model": f"{content.rule.method} of {', '.join(names)}"} | content.everything


def _read(path: Path) -> _Content:
    try:
        everything: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        members = [Path(member) for member in everything["members"]]
        weights = list(everything["weights"])
        return _Content(everything, members, weights, FusionRule(**everything["rule"]))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (UnicodeDecodeError, ValueError, KeyError, TypeError):
        keys = ", ".join(field.name for field in fields(FusionRule))
        raise InputError(
            f"{path}: want JSON with members, weights and rule (of {keys}), as --search writes"
        ) from None


def _same_runs(members: Sequence[Path], tables: Sequence[Path]) -> bool:
    """Whether the files can be of the same runs.

    Told by their folders, if each has a folder of its own, or else by their file names.
    """
    if len(members) != len(tables):
        return False
    folders = [[file.resolve().parent.name for file in files] for files in (members, tables)]
    names = [[file.name for file in files] for files in (members, tables)]
    if all(len(set(of_files)) == len(of_files) > 1 for of_files in folders):
        return folders[0] == folders[1]
    return names[0] == names[1] or not set(names[0]) & set(names[1])


def _by_class(path: Path, weight: Any, classes: Sequence[str]) -> list[float]:
    """One table's weight for each class, from a number or an object by class name."""
    by_class = weight if isinstance(weight, dict) else dict.fromkeys(classes, weight)
    numbers = all(isinstance(value, int | float) for value in by_class.values())
    if set(by_class) != set(classes) or not numbers:
        raise InputError(
            f"{path}: want weights that are a number, "
            f"or one for each of {', '.join(classes)}; not {weight}"
        )
    return [by_class[name] for name in classes]
