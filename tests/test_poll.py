"""submit.kaggle.poll, with the real client against a real HTTP server: each ends as what it is."""

import os
import signal
import time
from dataclasses import replace
from itertools import islice

import pytest

from evaluate.exceptions import KaggleError, Refused
from submit.kaggle.poll import FAILURES_MAX, back_off, poll
from tests.kaggle_server import SLUG
from tests.rows import SENT
from tests.submitting import LONG_AGO, states


def test_pending_is_asked_again_with_longer_and_longer_waits(send, ledger, server, follow):
    server.pending_polls = 3
    send()
    [done], waits = follow()
    assert (done.state, done.public) == ("complete", 0.7819)
    assert waits == [5, 7.5, 11.25] and server.requests["GetSubmission"] == 4


def test_waits_grow_by_half_up_to_a_minute():
    waits = [5, 7.5, 11.25, 16.875, 25.3125, 37.96875, 56.953125, 60, 60]
    assert list(islice(back_off(), 9)) == waits


def test_a_submission_that_is_not_there_yet_is_pending(send, ledger, server, follow):
    send()
    server.faults["GetSubmission"] = [404]
    [done], waits = follow()
    assert done.state == "complete" and waits == [5]


def test_a_submission_that_is_not_there_any_more_is_not_waited_for(send, ledger, server, follow):
    send()
    ledger.update(1, time=LONG_AGO)
    server.submissions.clear()
    with pytest.raises(KaggleError, match="404"):
        follow()
    assert states(ledger) == ["pending"]


def test_scores_that_are_not_published_are_none(send, ledger, server, follow):
    server.verdict = {"status": "COMPLETE", "publicScore": "", "privateScore": ""}
    send()
    [done], _ = follow()
    assert (done.state, done.public, done.private) == ("complete", None, None)


def test_what_kaggle_cannot_score_is_an_error_with_its_reason_and_is_not_sent_again(
    send, ledger, server, follow
):
    server.verdict = {
        "status": "ERROR",
        "errorDescription": "Submission must\n\x1b[31mhave columns",
    }
    send()
    [done], _ = follow()
    assert (done.state, done.error) == ("error", "Submission must [31mhave columns")
    with pytest.raises(Refused, match="the same file was sent on .*, ref 50000001, error"):
        send()
    assert len(server.submissions) == 1


@pytest.mark.parametrize("fault", [503, "drop", "page"])
def test_without_a_clear_answer_it_is_lost_and_not_sent_again_until_it_surely_failed(
    send, ledger, server, fault, follow
):
    server.faults["CreateSubmission"] = [fault]
    assert send().state == "lost"
    with pytest.raises(Refused, match="may have arrived"):
        send()
    assert server.requests["CreateSubmission"] == 1
    ledger.update(1, time=LONG_AGO)
    [row], _ = follow()
    assert (row.state, row.error) == ("failed", "it never arrived")
    assert send().state == "pending" and len(server.submissions) == 1


@pytest.mark.parametrize("reply", ["drop", 500, "page"])
def test_a_lost_reply_is_found_in_the_list_and_never_sent_again(
    send, ledger, server, reply, follow
):
    server.faults["CreateSubmission"] = [("lost", reply)]
    assert (send().state, len(server.submissions)) == ("lost", 1)
    [done], _ = follow()
    assert (done.state, done.ref, done.public) == ("complete", 50_000_001, 0.7819)
    assert server.requests["CreateSubmission"] == 1


def test_a_lost_submission_is_waited_for_while_it_may_still_arrive(send, ledger, kaggle, server):
    server.faults["CreateSubmission"] = ["drop"]
    send()
    body = {"blobFileTokens": "upload0", "submissionDescription": ledger.submission(1).message}
    waits = []

    def arrive(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            server.CreateSubmission(body)

    [done] = poll(ledger, kaggle, [1], sleep=arrive)
    assert (done.state, done.ref, waits) == ("complete", 50_000_001, [5, 7.5, 11.25, 16.875])


@pytest.mark.parametrize(
    "change",
    [
        {"fileName": "other.csv"},
        {"totalBytes": 7},
        {"description": "try"},
        {"date": "2020-01-01T00:00:00.000Z"},
    ],
)
def test_another_submission_in_the_list_is_not_taken_for_the_lost_one(
    send, ledger, server, change, follow
):
    server.faults["CreateSubmission"] = [("lost", "drop")]
    send()
    server.submissions[0] |= change
    ledger.update(1, time=LONG_AGO)
    [row], _ = follow()
    assert (row.state, row.ref) == ("failed", None)


def test_a_submission_that_the_ledger_knows_is_not_taken_for_another(send, ledger, server, follow):
    send()
    ledger.claim(
        replace(
            SENT, competition=SLUG, sha256=ledger.submission(1).sha256[:12] + "x", time=LONG_AGO
        )
    )
    ledger.update(
        2, file_name="submission.csv", bytes=ledger.submission(1).bytes, state="lost", time=LONG_AGO
    )
    rows, _ = follow()
    assert [row.state for row in rows] == ["complete", "failed"]


def test_polling_outlasts_a_server_that_fails_for_a_while(send, ledger, server, follow):
    send()
    server.faults["GetSubmission"] = [500, 429, "drop", "page"]
    [done], waits = follow()
    assert done.state == "complete" and len(waits) == 4


def test_polling_stops_after_ten_failures_in_a_row_and_can_be_taken_up_again(
    send, ledger, server, follow
):
    send()
    server.faults["GetSubmission"] = [500] * FAILURES_MAX
    with pytest.raises(KaggleError, match="500"):
        follow()
    assert states(ledger) == ["pending"]
    [done], _ = follow()
    assert done.state == "complete"


def test_one_submission_that_cannot_be_asked_about_does_not_keep_the_others_waiting(
    send, ledger, server, follow
):
    send()
    send("two")
    server.faults["GetSubmission"] = [403]
    with pytest.raises(KaggleError, match="403"):
        follow()
    assert states(ledger) == ["pending", "complete"]


def test_a_submit_that_is_interrupted_while_sending_is_lost_and_found(send, ledger, server, follow):
    create = server.CreateSubmission

    def create_then_interrupt(body):
        reply = create(body)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        return reply

    server.CreateSubmission = create_then_interrupt
    with pytest.raises(KeyboardInterrupt):
        send()
    assert states(ledger) == ["lost"]
    [done], _ = follow()
    assert (done.state, done.ref) == ("complete", 50_000_001)


def test_a_submit_that_was_killed_while_sending_is_cleared_up(ledger, server, follow):
    ledger.claim(replace(SENT, competition=SLUG, time=LONG_AGO))
    [row], _ = follow()
    assert (row.state, server.requests["ListSubmissions"]) == ("failed", 1)
