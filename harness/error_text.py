"""`harness errors` for people and for programs."""

from typing import Any

import numpy as np

from evaluate.errors import FIXES, KINDS, SIZES, Errors

HEADS = ("local.", "class", "both", "dupl.", "backgr.", "missed", "false+", "false-")


def as_dict(found: Errors) -> dict[str, Any]:
    """-> map; fixes {fix: what it adds to mAP}; counts {fix: n}; per_class {name: ap and fixes, or None}; per_size."""
    gains = found.per_class.items()
    aps = dict(zip(found.classes, found.ap.tolist(), strict=True))
    return {
        "map": found.mean,
        "fixes": found.total,
        "counts": dict(zip(FIXES, found.count[0].sum(1).tolist(), strict=True)),
        "per_class": {name: None if gain is None else {"ap": aps[name], **gain} for name, gain in gains},
        "per_size": found.per_size,
    }


def as_text(found: Errors) -> str:
    """What each fix adds to mAP, and how many it fixes, in all and by size; then what each adds to each class."""
    lines = [
        f"mAP {found.mean:.4f}; what fixing one kind of error alone would add, and how many there are",
        f"{'':<14}  {'all sizes':>16}" + "".join(f"  {size:>16}" for size in SIZES),
    ]
    added, counts = np.nanmean(found.gain, 2), found.count.sum(2)
    for f, fix in enumerate(FIXES):
        if f == len(KINDS):
            lines.append("the same errors as false alarms and as truths not found:")
        cells = zip(added[:, f], counts[:, f], strict=True)
        lines.append(f"{fix:<14}" + "".join(f"  {gain:.4f} {n:>9,}" for gain, n in cells))
    width = max(map(len, (*found.classes, "class")))
    lines += ["", f"{'class':<{width}}  {'AP':>7}" + "".join(f"  {head:>7}" for head in HEADS)]
    for name, ap, gain in zip(found.classes, found.ap, found.gain[0].T, strict=True):
        cells_of = "  no truth" if np.isnan(ap) else "".join(f"  {x:>7.4f}" for x in (ap, *gain))
        lines.append(f"{name:<{width}}{cells_of}")
    return "\n".join(lines)
