"""Where a score would stand on a competition's public leaderboard, and where its medals end.

    20 teams, best first    0.80  0.79  0.78  0.77 ...    gold to rank 2, silver to 4, bronze to 8
    a score of 0.785        behind 0.80 and 0.79: it would be rank 3, a silver medal

Ties and bounds:

1. Scores that are equal rank by time, so a new score comes in behind every equal one.
2. Leaderboards of errors, such as RMSE, rise: the best score is the smallest. Nothing else says so,
   so the order of the first and last score decides.
3. A rank is that of one more team, so its medal is looked up among one team more than there are.
   The bounds that are shown are those of the teams that are there.
"""

import csv
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from evaluate.exceptions import InputError
from submit.kaggle.client import Kaggle

UNPACKED_MAX = 2**28  # bytes


@dataclass(frozen=True)
class PublicLeaderboard:
    """The teams' scores, best first."""

    competition: str
    scores: tuple[float, ...]

    def rank(self, score: float) -> int:
        """Where one more team with this score would stand, from 1."""
        smaller_is_better = len(self.scores) > 1 and self.scores[0] < self.scores[-1]  # 2.
        if smaller_is_better:
            return 1 + sum(other <= score for other in self.scores)  # 1.
        return 1 + sum(other >= score for other in self.scores)

    def medal_bounds(self) -> dict[str, tuple[int, float]]:
        """For each medal: the last rank that earns it, and the score there."""
        ranks = medal_ranks(len(self.scores))
        return {medal: (rank, self.scores[rank - 1]) for medal, rank in ranks.items() if rank}

    def medal(self, rank: int) -> str:
        """What one more team at this rank would earn: gold, silver, bronze or ""."""
        ranks = medal_ranks(len(self.scores) + 1)  # 3.
        return next((medal for medal, last_rank in ranks.items() if rank <= last_rank), "")


def medal_ranks(teams: int) -> dict[str, int]:
    """The last rank that earns gold, silver and bronze, in this order; 0 where nobody does.

    Source: https://www.kaggle.com/progression. Shares are rounded down, and every 500 teams bring
    one more gold medal:

        teams       gold            silver     bronze
        0-99        10 %            20 %       40 %
        100-249     10              20 %       40 %
        250-999     10 + 0.2 %      50         100
        1000-       10 + 0.2 %      5 %        10 %

    Community, Playground and Getting Started competitions give no medals, whatever this says.
    """
    gold = teams // 10 if teams < 100 else 10 if teams < 250 else 10 + teams // 500
    if teams < 250:
        return {"gold": gold, "silver": teams // 5, "bronze": teams * 2 // 5}
    if teams < 1000:
        return {"gold": gold, "silver": 50, "bronze": 100}
    return {"gold": gold, "silver": teams // 20, "bronze": teams // 10}


def download_leaderboard(kaggle: Kaggle, competition: str) -> PublicLeaderboard:
    """The competition's leaderboard as it is now. Raises KaggleError."""
    with TemporaryDirectory() as folder:
        return read_leaderboard(kaggle.leaderboard(competition, Path(folder)), competition)


def read_leaderboard(path: Path, competition: str) -> PublicLeaderboard:
    """A leaderboard as Kaggle lets one download it: columns Rank and Score, as a .csv or in a .zip.

    Rows of rank 0 are the host's benchmarks; they and teams without a score are left out. Raises
    InputError for any other file.
    """
    try:
        data = _unzipped(path) if zipfile.is_zipfile(path) else path.read_bytes()
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        scores = tuple(float(row["Score"]) for row in rows if row["Rank"] != "0" and row["Score"])
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile, csv.Error) as error:
        raise InputError(
            f"{path.name}: want a leaderboard with the columns Rank and Score: {error!r}"
        ) from None
    return PublicLeaderboard(competition, scores)


def _unzipped(path: Path) -> bytes:
    """The first .csv of an archive that is not absurdly large unpacked."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".csv") and entry.file_size <= UNPACKED_MAX:
                return archive.read(entry)
    raise ValueError("it holds no .csv")
