"""Other weights as the start of a training: a run, a checkpoint or a published file."""

from typing import NamedTuple

from evaluate.exceptions import InputError
from harness.weights import checkpoint
from harness.weights.catalogue import resolve_weights
from models.detector import Detector
from models.weights import WeightsError, transfer


class Start(NamedTuple):
    """What a model took from other weights."""

    line: str  # the same for a person
    classes_known: int  # of the model's classes


def start_from(name: str, model: Detector) -> Start:
    """Put the weights called `name` into a model, in place. -> what was taken.

    `name` is what `weights=` in a recipe may be. Classes are matched by meaning; the rows of those
    that the weights do not know stay as they are. Raises InputError for weights that do not fit.
    """
    path = resolve_weights(name)
    weights, _ = checkpoint.read_weights(path)
    try:
        untouched = transfer(weights, model)
    except WeightsError as error:
        raise InputError(f"{path}: {error}") from None

    parts = "trunk and boxes" if weights.classes else "backbone"
    carried = len(model.classes) - len(untouched)
    rest = f"; starting at random: {', '.join(untouched)}" if untouched else ""
    line = f"{path}: {parts} and {carried} of {len(model.classes)} classes carried over{rest}"
    return Start(line, carried)
