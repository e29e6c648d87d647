"""harness check, submit, poll and leaderboard, with the real client against a real HTTP server."""

import json
import subprocess
import sys

import pytest

from harness.cli.main import main
from tests.kaggle_server import SLUG
from tests.submitting import HEADER

SUBMIT = ["--competition", SLUG, "--message", "try", "--ledger", "ledger.db"]
SCRIPT = "import sys; from harness.cli.main import main; sys.exit(main(sys.argv[1:]))"


def cli(*words):
    """A command in a process of its own, still running."""
    command = [sys.executable, "-c", SCRIPT, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("names", "sent"), [(("one", "one"), 1), (("one", "two"), None)])
def test_two_submits_at_once_send_no_file_twice(folder, ledger, server, names, sent):
    running = [cli("submit", f"{name}/submission.csv", *SUBMIT, "--json") for name in names]
    outputs = [process.communicate(timeout=60) for process in running]
    done = [json.loads(out) for out, _ in outputs if out]
    assert all(row["state"] == "complete" for row in done)
    refused = [err for (_, err), process in zip(outputs, running) if process.returncode]
    assert len(done) + len(refused) == 2 and all("not sent: " in err for err in refused), outputs
    shas = [upload["description"] for upload in server.submissions]
    assert len(shas) == len(set(shas)) == len(done) and sent in (None, len(done))
    assert [row.state for row in ledger.submissions()] == ["complete"] * len(done)


def test_the_command_submits_and_polls(folder, ledger, server, capsys):
    words = ["submit", "one/submission.csv", *SUBMIT]
    assert main([*words, "--dry-run"]) == 0
    assert capsys.readouterr().out == f"one/submission.csv to {SLUG}: would be sent\n"
    assert main(words) == 0
    scored = f"one/submission.csv to {SLUG}: complete, ref 50000001, public 0.7819\n"
    assert capsys.readouterr().out == scored
    assert main(words) == 1
    assert "harness: not sent: the same file was sent on" in capsys.readouterr().err
    assert main(["poll", "--ledger", "ledger.db", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"submissions": []}


def test_a_file_of_another_profile_is_checked_by_it_and_sent_as_it_is(folder, server, capsys):
    text = "image_id,PredictionString\na,0 0.9 1 2 3 4\nb,14 1 0 0 1 1\n"
    (folder / "one" / "submission.csv").write_text(text)
    words = ["submit", "one/submission.csv", *SUBMIT]
    assert main(words) == 2
    assert "or want another --profile?" in capsys.readouterr().err and not server.submissions
    assert main([*words, "--profile", "vinbigdata"]) == 0
    out, err = capsys.readouterr()
    assert "2 images, 1 boxes" in err and "complete" in out
    (submission,) = server.submissions
    assert submission["data"].decode() == text


def test_a_submission_that_kaggle_cannot_score_is_a_failed_job(folder, server, capsys):
    server.verdict = {"status": "ERROR", "errorDescription": "what columns"}
    assert main(["submit", "one/submission.csv", *SUBMIT]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "harness: one/submission.csv: what columns"


def test_a_bad_file_and_a_bad_name_are_wrong_input_and_ask_nothing(folder, server, capsys):
    words = ["--message", "try", "--ledger", "ledger.db", "--force"]
    address = "https://kaggle.com/c/x"
    assert main(["submit", "one/submission.csv", "--competition", address, *words]) == 2
    (folder / "bad.csv").write_text(f"{HEADER}1,a.jpg,nonsense\n")
    assert main(["submit", "bad.csv", "--competition", SLUG, *words]) == 2
    assert "line 2" in capsys.readouterr().out and server.requests.total() == 0


@pytest.mark.parametrize("token", [None, "KGAT_somebody_elses"])
def test_without_credentials_one_line_says_where_to_put_them(
    folder, server, capsys, monkeypatch, token
):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    if token:
        monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    assert main(["submit", "one/submission.csv", *SUBMIT, "--dry-run"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "https://www.kaggle.com/settings/api" in last and "~/.kaggle/access_token" in last
    assert not token or token not in last


def test_a_check_warns_beside_the_last_good_submission(folder, server, capsys):
    assert main(["submit", "one/submission.csv", *SUBMIT]) == 0
    (folder / "one" / "next.csv").write_text(f"{HEADER}1,a.jpg,[]\n")
    capsys.readouterr()
    assert main(["check", "one/next.csv", "--ledger", "ledger.db"]) == 0
    fine, *odd = capsys.readouterr().out.splitlines()
    assert fine.startswith("one/next.csv: fine; 1 images, 0 boxes, ") and len(odd) == 3
    assert main(["check", "one/next.csv", "--ledger", "ledger.db", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["warnings"]) == 3


def test_the_competitions_own_leaderboard_says_where_scores_would_stand(folder, server, capsys):
    # Twenty teams at 0.90, 0.88 ...
    server.leaderboard += "".join(f"{n + 1},{n},team,{0.9 - n / 50}\n" for n in range(20))
    words = ["leaderboard", "--ledger", "ledger.db", "--download"]
    assert main(words) == 2
    assert "--competition SLUG" in capsys.readouterr().err
    assert main([*words, "--competition", SLUG, "--json"]) == 0
    board = json.loads(capsys.readouterr().out)
    # 0.75 is behind 0.90 ... 0.76, 0.70 behind 0.90 ... 0.70; of 21 teams 2, 4 and 8 earn medals
    assert [(row["name"], row["stands"], row["medal"]) for row in board["rows"]] == [
        ("two/val-final.npz", 9, ""),
        ("one/val-final.npz", 12, ""),
    ]
    assert board["leaderboard"]["teams"] == 20
    assert main([*words, "--competition", SLUG, "--html", "board.html"]) == 0
    assert "voc-detection has 20 teams" in capsys.readouterr().out
    assert "voc-detection has 20 teams" in (folder / "board.html").read_text()
