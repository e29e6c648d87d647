"""The mean of several sets of weights as one checkpoint, which predicts at the cost of one."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evaluate.exceptions import InputError
from harness.recipe import Recipe
from harness.run_folder import Run, weights_in
from harness.weights import checkpoint

State = dict[str, Tensor]
DECODING = ("model", "head", "grid_stride")  # the recipe's keys that say what weights mean


class Member(NamedTuple):
    """One set of weights."""

    name: str
    recipe: Recipe
    classes: tuple[str, ...]
    state: State


def average(paths: Sequence[Path]) -> tuple[dict[str, Any], list[str]]:
    """-> what `checkpoint.save` takes and `checkpoint.load_detector` reads; the names of the sets that went in.

    A run folder gives its best weights and, from last.pt, the last ones and their moving average; a file gives its own.
    Of equal sets one counts. The recipe is the first's.

    Each number is the plain mean in float64, rounded once. Batch norm's statistics are averaged as well, not measured
    anew; its counters are the first's. Raises InputError naming the file for a backbone, for another model, box code or
    classes than the first's, and where there are not two sets that differ.
    """
    members: list[Member] = []
    for path in paths:
        for member in _members(path):
            if members:
                _refuse_another(member, members[0])
            if not any(_equal(member.state, other.state) for other in members):
                members.append(member)
    if len(members) < 2:
        named = ", ".join(map(str, paths)) or "average"
        raise InputError(
            f"{named}: want at least two sets of weights that differ, there are {len(members)}"
        )
    first, *_ = members
    state = {}
    for name, value in first.state.items():
        several = torch.stack([member.state[name] for member in members])
        state[name] = (
            several.double().mean(0).to(value.dtype) if value.is_floating_point() else value
        )
    content = {"recipe": asdict(first.recipe), "classes": list(first.classes), "state": state}
    return content, [member.name for member in members]


def _members(path: Path) -> Iterator[Member]:
    """The sets of weights that a run folder or a file holds."""
    weights, recipe = checkpoint.read_weights(path)
    if recipe is None:
        raise InputError(
            f"{path}: is the backbone {weights.architecture}, want weights of a detector"
        )
    yield Member(str(weights_in(path)), recipe, weights.classes, weights.state)
    last = Run(path).last
    if last.is_file():
        content = checkpoint.load(last)
        for kind in ("model", "ema"):
            if kind not in content:
                raise InputError(
                    f"{last}: want what training leaves to resume from, there is no {kind} in it"
                )
            yield Member(f"{last} ({kind})", recipe, weights.classes, content[kind])


def _refuse_another(member: Member, first: Member) -> None:
    """Raise InputError where the numbers of `member` do not mean what those of `first` do."""
    for key in DECODING:
        here, there = getattr(member.recipe, key), getattr(first.recipe, key)
        if here != there:
            raise InputError(
                f"{member.name}: want {key}={there} as in {first.name}, it has {key}={here}"
            )
    if member.classes != first.classes:
        pairs = zip_longest(member.classes, first.classes, fillvalue="none")
        here, there = next((here, there) for here, there in pairs if here != there)
        raise InputError(
            f"{member.name}: its classes differ from those of {first.name}: {here} in place of {there}"
        )
    shapes, wanted = (
        {name: value.shape for name, value in one.state.items()} for one in (member, first)
    )
    if shapes != wanted:
        raise InputError(
            f"{member.name}: its tensors differ in name or shape from those of {first.name}"
        )


def _equal(state: State, other: State) -> bool:
    return all(torch.equal(value, other[name]) for name, value in state.items())
