"""`harness weights`: published weight files, what a file holds, and averages."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from harness.cli.options import AsJson, bars

weights_app = App(
    name="weights",
    help="Weight files: list published ones, fetch one, look inside a file, or average several.",
)


@weights_app.command(name="list")
def list_weights_command(*, as_json: AsJson = False) -> None:
    """Weight files the harness can fetch: size, licence, source, and which are on this machine."""
    from harness.weights.catalogue import catalogue_text, published_files

    catalogue = published_files()
    print(json.dumps(catalogue) if as_json else catalogue_text(catalogue))


@weights_app.command(name="fetch")
def fetch_weights_command(
    name: Annotated[str, Parameter(help="A name of `harness weights list`.")],
    /,
    *,
    from_file: Annotated[
        Path | None, Parameter(name="--from", help="A copy of the file, in place of the network.")
    ] = None,
) -> None:
    """Fetch and verify one published weight file; goes on where it stopped."""
    from harness.weights.catalogue import CATALOGUE, fetch_weights

    path = fetch_weights(name, from_file=from_file, progress=bars)
    print(f"{path}: {name}, verified; its licence is {CATALOGUE[name].licence}")


@weights_app.command(name="inspect")
def inspect_weights_command(
    weights: Annotated[str, Parameter(help="A weight file, or a name of `harness weights list`.")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Say what a weight file holds, without running what is in it."""
    from harness.weights.catalogue import resolve_weights
    from harness.weights.inspection import inspect_weights, inspection_text

    inspection = inspect_weights(resolve_weights(weights))
    print(json.dumps(inspection) if as_json else inspection_text(inspection))


@weights_app.command(name="average")
def average_weights_command(
    *members: Annotated[
        str,
        Parameter(
            help="Weight files, or run folders: of those best.pt and, from last.pt, the weights "
            "and their average."
        ),
    ],
    out: Annotated[Path, Parameter(help="Checkpoint to write (.pt), for `harness predict`.")],
) -> None:
    """Write the mean of several sets of weights, which predicts at the cost of one.

    Score it before you use it. Weights of one run near its end fit each other. Those of several
    runs need not, even from the same start: on BCCD the mean of three seeds lost 5 points of AP50,
    and that of one run's own, after a cosine schedule, gained nothing.
    """
    from harness.weights import checkpoint
    from harness.weights.average import average
    from harness.weights.catalogue import resolve_weights

    content, names = average([resolve_weights(member) for member in members])
    checkpoint.save(content, out)
    print(f"{out}: the mean of {len(names)} sets of weights: {', '.join(names)}")
