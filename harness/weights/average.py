"""The mean of several sets of weights as one checkpoint, which predicts at the cost of one.

The mean makes sense for weights near each other, such as those at the end of one run.
"""

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
    """The content of a checkpoint for `checkpoint.save`; the names of the sets that went in.

    A run folder gives its best weights and, from last.pt, the last ones and their moving average; a
    file gives its own. Equal sets count once: the best weights of a run often are its last average.
    The recipe is the first set's.

    Each number is the plain mean in float64, rounded once. Batch norm's statistics are averaged
    too, not measured again; its counters are the first set's. Raises InputError, naming the file,
    for a backbone, for another model, box code or classes than the first's, and unless at least two
    sets differ.
    """
    members: list[Member] = []
    for path in paths:
        for member in _members(path):
            if members:
                _refuse_another(member, members[0])
            # A set that is there already would count twice in the mean.
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
        values = torch.stack([member.state[name] for member in members])  # (M, ...)
        mean = values.double().mean(0).to(value.dtype)
        state[name] = mean if value.is_floating_point() else value
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
    """Raise InputError when the numbers of `member` do not mean what those of `first` do."""
    # First what decoding depends on, then classes, then shapes: the first difference explains most.
    for key in DECODING:
        value, wanted = getattr(member.recipe, key), getattr(first.recipe, key)
        if value != wanted:
            raise InputError(
                f"{member.name}: want {key}={wanted} as in {first.name}, it has {key}={value}"
            )
    if member.classes != first.classes:
        pairs = zip_longest(member.classes, first.classes, fillvalue="none")
        name, first_name = next(pair for pair in pairs if pair[0] != pair[1])
        raise InputError(
            f"{member.name}: its classes differ from those of {first.name}: "
            f"{name} in place of {first_name}"
        )
    shapes, first_shapes = (
        {name: value.shape for name, value in each.state.items()} for each in (member, first)
    )
    if shapes != first_shapes:
        raise InputError(
            f"{member.name}: its tensors differ in name or shape from those of {first.name}"
        )


def _equal(state: State, other: State) -> bool:
    return all(torch.equal(value, other[name]) for name, value in state.items())
