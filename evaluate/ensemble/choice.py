"""What a search for an ensemble chose, and what it is worth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluate.ensemble.rule import FusionRule
from evaluate.metrics.bootstrap import Difference

Weights = tuple[int, ...]  # one per table; 0 leaves a table out


@dataclass(frozen=True)
class Choice:
    """An ensemble that was chosen on one half of the images, and what it is worth on the other."""

    rule: FusionRule
    weights: Weights
    single: int  # the table that is best alone, from 0
    single_iou: float  # of its NMS
    chosen_on: tuple[float, float]  # mAP of that table and of the ensemble, on the choosing half
    gain: Difference  # from that table to the ensemble, on the other half
    tried: int  # ensembles that were scored

    @property
    def worth_it(self) -> bool:
        """Whether the gain is more than other images may bring about."""
        return self.gain.low > 0


def choice_json(choice: Choice, members: Sequence[Path]) -> dict[str, Any]:
    """The content of fusion.json.

    members, weights and rule say how to fuse; single is the best run alone; chosen_on and held_out
    are mAP on the half of the images that chose and on the other.
    """
    return {
        "members": [str(path) for path in members],
        "weights": list(choice.weights),
        "rule": asdict(choice.rule) | {"members_iou": choice.rule.first_iou},
        "single": {"member": str(members[choice.single]), "iou": choice.single_iou},
        "chosen_on": dict(zip(("before", "after"), choice.chosen_on, strict=True)),
        "held_out": asdict(choice.gain) | {"difference": choice.gain.value},
        "worth_it": choice.worth_it,
        "tried": choice.tried,
    }


def choice_in_words(choice: Choice, members: Sequence[Path]) -> str:
    """What was chosen, what it gains on images that did not choose it, and whether to take it."""
    rule, gain = choice.rule, choice.gain
    weighted = zip(choice.weights, members, strict=True)
    parts = ", ".join(f"{weight} x {path}" for weight, path in weighted if weight)
    variant = {"wbf": f" {rule.conf_type}", "soft-nms": f" {rule.decay}"}.get(rule.method, "")
    first = f", after NMS of each at {rule.first_iou:g}" if rule.first_iou < 1 else ""
    single, ensemble = choice.chosen_on
    verdict = (
        "worth it"
        if choice.worth_it
        else "not worth it: the interval includes 0; "
        "take the single run, or search with more validation images"
    )
    return "\n".join(
        [
            f"{rule.method}{variant} at IoU {rule.iou:g}{first}: {parts}",
            f"best single run {members[choice.single]}, NMS at {choice.single_iou:g}; "
            f"{choice.tried} ensembles tried",
            f"AP50 on the half of the images that chose: {single:.4f} single, "
            f"{ensemble:.4f} ensemble",
            f"AP50 on the other half: {gain.before:.4f} single, {gain.after:.4f} ensemble, "
            f"{gain.value:+.4f} (95 % interval {gain.low:+.4f} to {gain.high:+.4f})",
            verdict,
        ]
    )
