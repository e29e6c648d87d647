"""submit.kaggle.submission, with the real client against a real HTTP server.

Whatever goes wrong, the ledger is right and nothing is submitted twice.
"""

from dataclasses import replace

import pytest

from evaluate.exceptions import InputError, KaggleError, Refused
from submit.csv.check import check_submission
from submit.kaggle.marker import marker
from submit.kaggle.send_rules import SendRules
from submit.kaggle.submission import submit
from submit.ledger import Ledger
from tests.kaggle_server import SLUG
from tests.rows import ROW
from tests.submitting import HEADER, states


def test_a_submission_is_written_down_sent_once_and_scored(send, ledger, server, follow):
    row = send()
    assert (row.state, row.ref, row.score_id) == ("pending", 50_000_001, 1)
    assert row.message == f"try {marker(row.sha256)}"
    server.verdict |= {"privateScore": "0.7"}
    [done], waits = follow()
    assert (done.state, done.public, done.private) == ("complete", 0.7819, 0.7)
    assert (done.error, waits) == (None, [])
    assert ledger.submissions() == [done]
    [remote] = server.submissions
    assert remote["data"].decode() == (HEADER + "1,a.jpg,\"[['cat', 0.7, 1, 2, 3, 4]]\"\n")
    assert (remote["fileName"], remote["description"]) == ("submission.csv", done.message)


def test_the_row_is_in_the_ledger_before_the_upload(send, folder, server):
    seen, start = [], server.StartSubmissionUpload

    def look(body):
        with Ledger(folder / "ledger.db") as opened:
            seen.extend(opened.submissions())
        return start(body)

    server.StartSubmissionUpload = look
    send()
    assert [(row.state, row.ref) for row in seen] == [("sending", None)]


@pytest.mark.parametrize(
    ("request_name", "status", "says"),
    [
        ("IntrospectToken", 401, "KAGGLE_API_TOKEN"),
        ("GetCompetition", 403, "rules"),
        ("GetCompetition", 404, "last part of its address"),
        ("GetCompetition", 429, "wait a minute"),
        ("ListSubmissions", 500, "Kaggle answered 500 to ListSubmissions"),
    ],
)
def test_when_the_first_questions_fail_nothing_is_sent_or_kept(
    send, ledger, server, request_name, status, says
):
    server.faults[request_name] = [status] * 2
    with pytest.raises(KaggleError, match=says):
        send()
    assert states(ledger) == [] and server.requests["StartSubmissionUpload"] == 0


def test_the_older_kind_of_credentials_is_not_told_either(send, server, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", "0123456789abcdef")
    server.faults["GetCompetition"] = [403]
    with pytest.raises(KaggleError, match=r"no: Basic \*\*\*; have you"):
        send()
    assert send().state == "pending"


@pytest.mark.parametrize("status", [403, 429, 500])
def test_an_upload_that_cannot_start_has_failed_and_may_be_sent_again(send, ledger, server, status):
    server.faults["StartSubmissionUpload"] = [status]
    with pytest.raises(KaggleError, match=f"Kaggle answered {status} to StartSubmissionUpload"):
        send()
    assert states(ledger) == ["failed"] and server.submissions == []
    assert send().state == "pending" and states(ledger) == ["failed", "pending"]
    assert len(server.submissions) == 1


@pytest.mark.parametrize("status", [403, 503])
def test_bytes_that_do_not_arrive_are_a_failure_though_the_client_raises_nothing(
    send, ledger, server, status
):
    server.faults["PUT"] = [status]
    with pytest.raises(KaggleError, match="did not take the upload; nothing was submitted"):
        send()
    assert states(ledger) == ["failed"] and server.requests["CreateSubmission"] == 0
    assert send().state == "pending" and len(server.submissions) == 1


@pytest.mark.parametrize("status", [400, 403, 429])
def test_a_submission_that_kaggle_refuses_has_failed(send, ledger, server, status):
    server.faults["CreateSubmission"] = [status]
    with pytest.raises(KaggleError, match=f"Kaggle answered {status} to CreateSubmission"):
        send()
    assert states(ledger) == ["failed"] and server.submissions == []


def test_a_server_that_never_answers_is_given_up_at_the_deadline(send, ledger, kaggle, server):
    server.faults["CreateSubmission"] = ["silent"]
    kaggle.upload_deadline = 0.5
    row = send()
    assert (row.state, row.error) == ("lost", "Kaggle gave no answer within 0.5 s")
    server.faults["GetCompetition"] = ["silent"]
    kaggle.deadline = 2
    with pytest.raises(KaggleError, match="no answer within 2 s"):
        send("two")
    assert states(ledger) == ["lost"] and server.submissions == []


def test_the_daily_limit_is_asked_for_first_and_some_may_be_kept(send, ledger, server):
    server.daily = 1
    with pytest.raises(Refused, match="1 submission left today, 0 made, 1 to be kept"):
        send(reserve=1)
    send()
    with pytest.raises(Refused, match="0 submissions left today, 1 made"):
        send("two")
    assert states(ledger) == ["pending"] and server.requests["CreateSubmission"] == 1


def test_a_limit_that_was_reached_meanwhile_is_a_failure_that_says_so(send, ledger, server):
    limits = {"numAllowedNow": 1, "numToday": 4, "numTotal": 4}
    server.GetSubmissionLimits, server.daily = lambda body: limits, 0
    with pytest.raises(KaggleError, match="400 to CreateSubmission: You have used your daily"):
        send()
    assert states(ledger) == ["failed"]


def test_limits_that_are_all_zero_before_the_first_submission_are_no_limit(send, server):
    server.GetSubmissionLimits = lambda body: {}
    assert send().state == "pending"


@pytest.mark.parametrize(
    ("competition", "says"),
    [
        ({"deadline": "2020-01-01T12:30:00Z"}, "the deadline was 2020-01-01 12:30 UTC"),
        ({"userHasEntered": False}, "the rules are not accepted"),
        ({"isKernelsSubmissionsOnly": True}, "notebooks only"),
        ({"submissionsDisabled": True}, "takes no submissions"),
    ],
)
def test_a_competition_that_would_not_take_it_is_not_sent_to(
    send, ledger, server, competition, says
):
    server.competition |= competition
    for dry_run in (False, True):
        with pytest.raises(Refused, match=says):
            send(dry_run=dry_run)
    assert states(ledger) == [] and server.requests["StartSubmissionUpload"] == 0


def test_a_score_that_is_not_better_by_the_wanted_gain_is_not_sent(send, ledger, folder, server):
    send()
    with pytest.raises(
        Refused,
        match=r"local score is 0\.7500 .two/.*, the best submitted 0\.7000 .one/.*want 0\.06 more",
    ):
        send("two", min_gain=0.06)
    assert send("two", min_gain=0.05).state == "pending"
    ledger.record(replace(ROW, name="one/again.npz", map=0.75, detections_sha256="again"))
    (path := folder / "one" / "submission.csv").write_text(path.read_text().replace("0.7,", "0.6,"))
    with pytest.raises(Refused, match="the best submitted 0.7500"):
        send()
    assert send(force=True).state == "pending"
    assert len(server.submissions) == 3


def test_without_a_local_score_it_takes_force(send, ledger, folder, server):
    (folder / "three").mkdir()
    (folder / "three" / "submission.csv").write_text(f"{HEADER}1,a.jpg,[]\n")
    with pytest.raises(Refused, match="no local score"):
        send("three")
    assert server.requests.total() == 0
    assert send("three", force=True).score_id is None


def test_the_files_own_score_goes_before_that_of_its_run(send, ledger, folder):
    sha256 = check_submission(folder / "one" / "submission.csv").sha256
    ledger.record(replace(ROW, name="elsewhere", map=0.1, detections_sha256=sha256))
    assert send().score_id == 3


def test_scores_by_another_metric_or_truth_do_not_compare(send, ledger, folder):
    send()
    ledger.record(
        replace(
            ROW, name="two/val-final.npz", map=0.9, detections_sha256="two", truth_sha256="else"
        )
    )
    assert send("two").score_id == 2  # it has one on the same truth
    (path := folder / "three").mkdir()
    (path / "submission.csv").write_text(f"{HEADER}1,a.jpg,[]\n")
    ledger.record(
        replace(ROW, name="three/val-final.npz", map=0.9, detections_sha256="3", metric="coco")
    )
    with pytest.raises(
        Refused, match="its local score is by coco on val, the best submitted by voc-area on val"
    ):
        send("three")


def test_a_file_that_a_team_mate_sent_is_not_sent_again(send, kaggle, folder, server):
    send()
    (folder / "ledger.db").unlink()
    with (
        Ledger(folder / "fresh.db") as fresh,
        pytest.raises(Refused, match="there already, ref 50000001"),
    ):
        path = folder / "one" / "submission.csv"
        submit(path, check_submission(path), SLUG, "try", fresh, kaggle, SendRules(force=True))
    assert len(server.submissions) == 1


def test_a_file_that_changed_since_the_check_is_not_sent(folder, ledger, kaggle, server):
    path = folder / "one" / "submission.csv"
    summary = check_submission(path)
    path.write_text(path.read_text().replace("0.7", "0.6"))
    with pytest.raises(InputError, match="it changed since it was checked"):
        submit(path, summary, SLUG, "try", ledger, kaggle)
    assert states(ledger) == [] and server.submissions == []


def test_a_dry_run_asks_everything_and_leaves_nothing(send, ledger, server):
    row = send(dry_run=True)
    assert (row.id, row.state, states(ledger)) == (None, "sending", [])
    assert server.requests.keys() == {
        "IntrospectToken",
        "GetCompetition",
        "GetSubmissionLimits",
        "ListSubmissions",
    }
