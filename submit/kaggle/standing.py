"""A competition's own leaderboard: where a score would stand on it, and where its medals end."""

import csv
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from evaluate.exceptions import InputError

UNPACKED_MAX = 2**28  # bytes


@dataclass(frozen=True)
class Leaderboard:
    """The teams' scores, best first."""

    competition: str
    scores: tuple[float, ...]

    def rank(self, score: float) -> int:
        """Where a team that is not on it yet would stand; behind teams with an equal score, which had it earlier.

        What is better is read off the order: a leaderboard that rises is of errors.
        """
        rises = len(self.scores) > 1 and self.scores[0] < self.scores[-1]
        return 1 + sum(there <= score if rises else there >= score for there in self.scores)

    def lines(self) -> dict[str, tuple[int, float]]:
        """For each medal that this many teams bring, the last rank that earns it and the score there."""
        ranks = medal_ranks(len(self.scores))
        return {medal: (rank, self.scores[rank - 1]) for medal, rank in ranks.items() if rank}

    def medal(self, rank: int) -> str:
        """gold, silver, bronze or "", with one team more than there are."""
        return next(
            (medal for medal, last in medal_ranks(len(self.scores) + 1).items() if rank <= last), ""
        )


def medal_ranks(teams: int) -> dict[str, int]:
    """The last rank that earns gold, silver and bronze, best medal first; 0 where nobody does.

    Source: https://www.kaggle.com/progression: shares are rounded down, and an extra gold is given for every 500 teams.
    Competitions that give no medals have none, whatever this says: Community, Playground and Getting Started.
    """
    gold = teams // 10 if teams < 100 else 10 if teams < 250 else 10 + teams // 500
    if teams < 250:
        return {"gold": gold, "silver": teams // 5, "bronze": teams * 2 // 5}
    if teams < 1000:
        return {"gold": gold, "silver": 50, "bronze": 100}
    return {"gold": gold, "silver": teams // 20, "bronze": teams // 10}


def read_leaderboard(path: Path, competition: str) -> Leaderboard:
    """What Kaggle lets download: a .csv with the columns Rank and Score, in a .zip or not. Raises InputError.

    Rows of rank 0 are the host's benchmarks. Those without a score are left out.
    """
    try:
        data = _unzipped(path) if zipfile.is_zipfile(path) else path.read_bytes()
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        scores = tuple(float(row["Score"]) for row in rows if row["Rank"] != "0" and row["Score"])
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile, csv.Error) as error:
        raise InputError(
            f"{path.name}: want a leaderboard with the columns Rank and Score: {error!r}"
        ) from None
    return Leaderboard(competition, scores)


def _unzipped(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".csv") and entry.file_size <= UNPACKED_MAX:
                return archive.read(entry)
    raise ValueError("it holds no .csv")
