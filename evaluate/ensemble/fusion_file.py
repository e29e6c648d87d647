"""What a search for an ensemble found, as a small file that fuses other splits' tables in the same way."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.ensemble.rule import FusionRule
from evaluate.exceptions import InputError
from evaluate.files import written_whole

if TYPE_CHECKING:
    from evaluate.ensemble.search import Choice


def choice_json(choice: "Choice", members: Sequence[Path]) -> dict[str, Any]:
    """members, weights, rule; single, the best run alone; mAP on the half of the images that chose and on the other."""
    rule = asdict(choice.rule) | {"members_iou": choice.rule.first_iou}
    gain = asdict(choice.gain) | {"difference": choice.gain.value}
    return {
        "members": [str(path) for path in members],
        "weights": list(choice.weights),
        "rule": rule,
        "single": {"member": str(members[choice.single]), "iou": choice.single_iou},
        "chosen_on": dict(zip(("before", "after"), choice.chosen_on, strict=True)),
        "held_out": gain,
        "worth_it": choice.worth_it,
        "tried": choice.tried,
    }


def choice_in_words(choice: "Choice", members: Sequence[Path]) -> str:
    """The choice for people: what it is, what it gains where it was not chosen, and whether that is worth it."""
    rule, gain = choice.rule, choice.gain
    parts = [
        f"{weight} x {path}" for weight, path in zip(choice.weights, members, strict=True) if weight
    ]
    kind = {"wbf": f" {rule.conf_type}", "soft-nms": f" {rule.decay}"}.get(rule.method, "")
    first = f", after NMS of each at {rule.first_iou:g}" if rule.first_iou < 1 else ""
    verdict = (
        "worth it"
        if choice.worth_it
        else "not worth it: the interval does not leave out 0, take the single run or more validation images"
    )
    return "\n".join(
        [
            f"{rule.method}{kind} at IoU {rule.iou:g}{first}: {', '.join(parts)}",
            f"best single run {members[choice.single]}, NMS at {choice.single_iou:g}; {choice.tried} ensembles tried",
            "AP50 on the half of the images that chose: {:.4f} single, {:.4f} ensemble".format(
                *choice.chosen_on
            ),
            f"AP50 on the other half: {gain.before:.4f} single, {gain.after:.4f} ensemble, "
            f"{gain.value:+.4f} (95 % interval {gain.low:+.4f} to {gain.high:+.4f})",
            verdict,
        ]
    )


def save_choice(content: dict[str, Any], path: Path) -> None:
    """Write to `path` whole or not at all."""
    with written_whole(path) as scratch:
        scratch.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def ensemble_settings(path: Path) -> dict[str, Any]:
    """What the leaderboard keeps of it; `model` names the method and the members that count. Raises InputError."""
    content, members, weights, rule = _read(path)
    counted = [member for member, weight in zip(members, weights, strict=False) if weight]
    names = [member.parent.name or member.stem for member in counted]
    return {"model": f"{rule.method} of {', '.join(names)}"} | content


def load_choice(
    path: Path, tables: Sequence[Path], classes: Sequence[str]
) -> tuple[FusionRule, list[Any]]:
    """-> the rule, and the weights of `tables` by class (M, C), each a number or an object of class names in the file.

    Raises InputError when the file is something else, or its members are not these runs in this order: v5n/val.npz
    goes with v5n/test.npz, and val/v5n.npz with test/v5n.npz.
    """
    _, members, weights, rule = _read(path)
    if not _same_runs(members, tables):
        wanted, given = (", ".join(map(str, files)) for files in (members, tables))
        raise InputError(
            f"{path}: want tables of the runs {wanted}, in this order; there are {given}"
        )
    return rule, [_by_class(path, weight, classes) for weight in weights]


def _read(path: Path) -> tuple[dict[str, Any], list[Path], list[Any], FusionRule]:
    """-> all that is in it; its members, weights and rule."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        members, weights = [Path(member) for member in content["members"]], list(content["weights"])
        return content, members, weights, FusionRule(**content["rule"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (UnicodeDecodeError, ValueError, KeyError, TypeError):
        keys = ", ".join(f.name for f in fields(FusionRule))
        raise InputError(
            f"{path}: want JSON with members, weights and rule (of {keys}), as --search writes"
        ) from None


def _same_runs(members: Sequence[Path], tables: Sequence[Path]) -> bool:
    """Whether the files can be of the same runs: by their folders, or their own names where folders tell none apart."""
    folders = [[file.resolve().parent.name for file in files] for files in (members, tables)]
    names = [[file.name for file in files] for files in (members, tables)]
    if len(members) != len(tables):
        return False
    if all(len(set(of_one)) == len(of_one) > 1 for of_one in folders):
        return folders[0] == folders[1]
    return names[0] == names[1] or not set(names[0]) & set(names[1])


def _by_class(path: Path, weight: Any, classes: Sequence[str]) -> list[float]:
    """One table's weight for each class, from a number or an object of class names."""
    by_class = weight if isinstance(weight, dict) else dict.fromkeys(classes, weight)
    if set(by_class) != set(classes) or not all(
        isinstance(value, int | float) for value in by_class.values()
    ):
        raise InputError(
            f"{path}: want weights that are a number, or one for each of {', '.join(classes)}; not {weight}"
        )
    return [by_class[name] for name in classes]
