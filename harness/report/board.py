"""The rows of the leaderboard: scores and submissions of the ledger, side by side.

    ledger: scores        v5l/val-final.npz   voc-area on val   0.7487   id 2
                          v5m/val-final.npz   voc-area on val   0.7100   id 1
    ledger: submissions   v5l/submission.csv  score_id 2        public 0.7819

    board   rank  run                 score   public    gap
            1     v5l/val-final.npz   0.7487  0.7819   -0.0332
            2     v5m/val-final.npz   0.7100

A score that was submitted twice has two rows, a submission without a local score has one of its own
at the end, and a submission that never arrived has none. Ranks compare only scores by the same
metric on the same truth: anything else starts a ranking of its own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from submit.kaggle.client import Kaggle
from submit.kaggle.standing import PublicLeaderboard, download_leaderboard
from submit.ledger import Ledger, ScoreRow, SubmissionRow


@dataclass(frozen=True, kw_only=True)
class BoardEntry:
    """A scored table, a submission, or both; None marks what the one or the other does not have."""

    name: str
    time: str
    path: str
    rank: int | None = None  # among scores by the same metric on the same truth
    split: str | None = None
    metric: str | None = None
    map: float | None = None
    interval: tuple[float, float] | None = None
    truth_sha256: str | None = None
    per_class: dict[str, float | None] | None = None
    images: int | None = None
    detections: int | None = None
    conf: float | None = None
    iou: float | None = None
    model: str | None = None
    recipe: dict[str, Any] | None = None
    command: str | None = None
    revision: str | None = None
    dirty: bool = False
    competition: str | None = None
    ref: int | None = None
    state: str | None = None
    public: float | None = None
    private: float | None = None
    gap: float | None = None  # local - public
    stands: int | None = None  # rank on the public leaderboard, by public score or else local one
    medal: str | None = None  # that this rank would earn


@dataclass(frozen=True)
class Board:
    """The rows as they are shown, and the competition's own leaderboard where it was downloaded."""

    entries: list[BoardEntry]
    public: PublicLeaderboard | None = None


def read_board(ledger: Path, competition: str | None = None) -> Board:
    """The ledger's board; with a competition, its leaderboard is downloaded for comparison."""
    public = None
    if competition is not None:
        with Kaggle() as kaggle:
            public = download_leaderboard(kaggle, competition)
    with Ledger(ledger) as book:
        return make_board(book.rows(), book.submissions(), public)


def make_board(
    scores: Sequence[ScoreRow],
    submissions: Sequence[SubmissionRow],
    public: PublicLeaderboard | None = None,
) -> Board:
    """Within a split and metric the best comes first; submissions without a score come last."""
    submissions = [submission for submission in submissions if submission.state != "failed"]

    # 1. Scores, each with what was submitted for it.
    last_rank: Counter[tuple[str, str]] = Counter()  # of each truth and metric
    entries = []
    for score in sorted(
        scores, key=lambda row: (row.split, row.truth_sha256, row.metric, -row.map)
    ):
        ranking = (score.truth_sha256, score.metric)
        last_rank[ranking] += 1
        local = replace(_scored(score), rank=last_rank[ranking])
        sent = [submission for submission in submissions if submission.score_id == score.id]
        entries += [_submitted(local, submission) for submission in sent] or [local]

    # 2. Submissions that were sent without a score.
    for submission in submissions:
        if submission.score_id is None:
            name = "/".join(Path(submission.path).parts[-2:])
            alone = BoardEntry(name=name, time=submission.time, path=submission.path)
            entries.append(_submitted(alone, submission))

    # 3. Where all of them would stand on the public leaderboard.
    if public:
        entries = [_standing(entry, public) for entry in entries]
    return Board(entries, public)


def _scored(score: ScoreRow) -> BoardEntry:
    values = asdict(score)
    for name in ("id", "truths", "detections_path", "detections_sha256"):
        del values[name]
    return BoardEntry(**values, path=score.detections_path, model=score.recipe.get("model"))


def _submitted(entry: BoardEntry, submission: SubmissionRow) -> BoardEntry:
    names = ("competition", "ref", "state", "public", "private")
    gap = None if entry.map is None or submission.public is None else entry.map - submission.public
    return replace(entry, gap=gap, **{name: getattr(submission, name) for name in names})


def _standing(entry: BoardEntry, public: PublicLeaderboard) -> BoardEntry:
    """The entry with its rank among the competition's teams, unless it was sent to another one."""
    score = entry.map if entry.public is None else entry.public
    if score is None or entry.competition not in (None, public.competition):
        return entry
    rank = public.rank(score)
    return replace(entry, stands=rank, medal=public.medal(rank))
