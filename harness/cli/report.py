"""The pages: `harness report` about one run, `harness leaderboard` about all. No torch."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evaluate.exceptions import InputError
from harness.cli.options import LEDGER, AsJson, LedgerPath


def report_command(
    run: Annotated[Path, Parameter(help="The folder of a run.")],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="The page to write. Default: RUN/report.html.")
    ] = None,
) -> None:
    """Write one page about a run: score, curves, sweep, and detections on its photos and video."""
    from harness.report.page import write_report
    from harness.run_folder import Run

    page = out or Run(run).page
    headline = write_report(run, page)
    score = f"{headline.metric} {headline.value:.4f} on {headline.on}. " if headline else ""
    print(f"{score}Open {page} in a browser.")


def leaderboard_command(
    *,
    html: Annotated[Path | None, Parameter(help="Also write it as a page (.html).")] = None,
    download: Annotated[
        bool,
        Parameter(help="Also take the competition's leaderboard and say where scores stand on it."),
    ] = False,
    competition: Annotated[
        str | None, Parameter(help="With --download: the last part of the competition's address.")
    ] = None,
    ledger: LedgerPath = LEDGER,
    as_json: AsJson = False,
) -> None:
    """Every scored run and every submission, best first."""
    from harness.report.board import read_board
    from harness.report.leaderboard import board_json, board_text, write_board

    if download != (competition is not None):
        raise InputError("leaderboard: want --download and --competition SLUG together")
    board = read_board(ledger, competition)
    if html is not None:
        write_board(board, html)
    print(json.dumps(board_json(board)) if as_json else board_text(board))
