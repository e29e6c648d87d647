"""submit.kaggle.standing: ranks, and medals as https://www.kaggle.com/progression gives them."""

import zipfile

import pytest

from evaluate.exceptions import InputError
from submit.kaggle.standing import PublicLeaderboard, medal_ranks, read_leaderboard

HEADER = "Rank,TeamId,TeamName,LastSubmissionDate,Score,SubmissionCount,TeamMemberUserNames\n"


@pytest.mark.parametrize(
    ("teams", "gold", "silver", "bronze"),
    [
        (0, 0, 0, 0),
        (9, 0, 1, 3),  # "a competition with 9 teams will not award any gold medals"
        (99, 9, 19, 39),
        (100, 10, 20, 40),
        (249, 10, 49, 99),
        (250, 10, 50, 100),
        (500, 11, 50, 100),  # "500 teams will award gold medals to the top 11"
        (999, 11, 50, 100),
        (1000, 12, 50, 100),
        (5000, 20, 250, 500),  # "5000 teams to the top 20"
    ],
)
def test_medals_depend_on_the_number_of_teams(teams, gold, silver, bronze):
    assert medal_ranks(teams) == {"gold": gold, "silver": silver, "bronze": bronze}


def test_a_score_stands_behind_equal_ones():
    board = PublicLeaderboard("x", (0.9, 0.8, 0.8, 0.7))
    assert [board.rank(score) for score in (0.95, 0.9, 0.8, 0.75, 0.1)] == [1, 2, 4, 4, 5]


def test_a_leaderboard_that_rises_is_of_errors():
    board = PublicLeaderboard("x", (0.1, 0.2, 0.3))
    assert [board.rank(score) for score in (0.05, 0.2, 0.9)] == [1, 3, 4]


def test_the_medal_bounds_are_the_scores_of_the_last_ranks():
    board = PublicLeaderboard("x", tuple(1 - n / 10 for n in range(10)))
    # of 10 teams 1, 2 and 4 earn medals
    assert board.medal_bounds() == {"gold": (1, 1.0), "silver": (2, 0.9), "bronze": (4, 1 - 3 / 10)}
    assert [board.medal(rank) for rank in (1, 2, 3, 4, 5)] == [
        "gold",
        "silver",
        "bronze",
        "bronze",
        "",
    ]
    assert (
        PublicLeaderboard("x", (0.5,)).medal_bounds() == {}
        and PublicLeaderboard("x", ()).rank(0.5) == 1
    )


def test_a_downloaded_leaderboard_is_read_without_benchmarks_and_teams_without_score(tmp_path):
    rows = (
        '1,7,"Beta, Inc",2030-01-01 00:00:00,0.9,3,a\n'
        "0,8,benchmark,,0.5,1,b\n"
        "2,9,Gamma,,0.4,1,c\n"
        "3,10,none,,,0,d\n"
    )
    text = "\ufeff" + HEADER + rows
    (tmp_path / "board.csv").write_text(text, encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "board.zip", "w") as archive:
        archive.writestr("x-publicleaderboard.csv", text)
    for name in ("board.csv", "board.zip"):
        assert read_leaderboard(tmp_path / name, "x") == PublicLeaderboard("x", (0.9, 0.4))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "Rank,Score\n1,best\n", "Rank,Score\n1,\xff\n"])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "board.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(
        InputError, match=r"board.csv: want a leaderboard with the columns Rank and Score"
    ):
        read_leaderboard(tmp_path / "board.csv", "x")


def test_an_archive_without_a_table_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "board.zip", "w") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(InputError, match="it holds no .csv"):
        read_leaderboard(tmp_path / "board.zip", "x")
