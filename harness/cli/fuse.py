"""Several runs' tables into one: fuse. No torch."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evaluate.ensemble.rule import FusionRule
from evaluate.exceptions import InputError
from harness.cli.options import TRUTH, AsJson, TruthOption, bars, parse_numbers


def fuse_command(
    *tables: Annotated[
        Path, Parameter(help="Tables (.npz) over the same images and classes; candidates are fine.")
    ],
    out: Annotated[
        Path, Parameter(help="The table to write (.npz), or with --search the choice (.json).")
    ],
    rule: Annotated[FusionRule | None, Parameter(name="*")] = None,
    weights: Annotated[
        str | None, Parameter(help="One per table, such as 2,1,1. Default: all the same.")
    ] = None,
    recipe: Annotated[
        Path | None,
        Parameter(help="Fuse as this file of --search says, instead of the options above."),
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
    """Fuse the tables of several runs into one; or find out which to fuse, how, and what it gains.

    The mean of a detector's many faint boxes around a thing is lower than its best box, so wbf and
    nmw first put each table through NMS, at an IoU below the fusion's. The fused table is swept,
    applied and scored like any other.
    """
    from evaluate.ensemble.choice import choice_in_words, choice_json
    from evaluate.ensemble.fuse_files import fuse_files, search_files

    if not tables:
        raise InputError("fuse: want at least one table")
    if (rule or weights) and (recipe or search):
        raise InputError(
            "fuse: --recipe and --search say how to fuse; "
            "leave out --weights, --method and the like"
        )
    if recipe and search:
        raise InputError(
            "fuse: --search finds a choice and --recipe takes one; want one of the two"
        )

    if search:
        choice = search_files(tables, source.load(), out, progress=bars)
        result, text = choice_json(choice, tables), choice_in_words(choice, tables)
    else:
        numbers = None if weights is None else parse_numbers("--weights", weights, "2,1,1")
        rule = rule or FusionRule()
        result = fuse_files(tables, out, rule=rule, weights=numbers, recipe=recipe)
        text = (
            f"{result['boxes']:,} boxes on {result['images']:,} images "
            f"from {len(tables)} tables, {result['rule']['method']}"
        )
    print(json.dumps(result) if as_json else f"{out}: {text}")
