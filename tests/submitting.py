"""Fixtures for tests that submit: a server, a working folder with two runs, ledger and client."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from evaluate.exceptions import InputError, KaggleError, Refused
from submit.csv.check import check_submission
from submit.kaggle.client import Kaggle
from submit.kaggle.poll import LOST_AFTER, open_submissions, poll
from submit.kaggle.send_rules import SendRules
from submit.kaggle.submission import submit
from submit.ledger import Ledger
from tests.kaggle_server import SLUG, TOKEN, KaggleServer
from tests.rows import ROW

HEADER = "id,image_id,prediction_list\n"
LONG_AGO = (datetime.now(UTC) - LOST_AFTER - timedelta(seconds=1)).isoformat()


def states(ledger):
    return [row.state for row in ledger.submissions()]


@pytest.fixture
def server():
    with KaggleServer() as running:
        yield running


@pytest.fixture
def folder(server, tmp_path, monkeypatch):
    """The working folder of someone with credentials, two runs and their local scores."""
    for name, value in (server.env | {"HOME": str(tmp_path / "home")}).items():
        monkeypatch.setenv(name, value)
    for name in ("KAGGLE_CONFIG_DIR", "KAGGLE_USERNAME", "KAGGLE_KEY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with Ledger(tmp_path / "ledger.db") as ledger:
        for name, score in (("one", 0.70), ("two", 0.75)):
            (tmp_path / name).mkdir()
            box = f"['cat', {score}, 1, 2, 3, 4]"
            (tmp_path / name / "submission.csv").write_text(f'{HEADER}1,a.jpg,"[{box}]"\n')
            ledger.record(
                replace(ROW, name=f"{name}/val-final.npz", map=score, detections_sha256=name)
            )
    return tmp_path


@pytest.fixture
def ledger(folder):
    with Ledger(folder / "ledger.db") as opened:
        yield opened


@pytest.fixture
def kaggle(folder):
    with Kaggle() as client:
        yield client


@pytest.fixture
def follow(ledger, kaggle):
    """Polls to the end without waiting. -> the rows, and the waits that there would have been."""

    def run():
        waits = []
        return poll(ledger, kaggle, open_submissions(ledger), sleep=waits.append), waits

    return run


@pytest.fixture
def send(folder, ledger, kaggle):
    """Submits a run's file; no credential may get into the ledger or into an error."""

    def run(name="one", **options):
        path = folder / name / "submission.csv"
        try:
            return submit(
                path, check_submission(path), SLUG, "try", ledger, kaggle, SendRules(**options)
            )
        except (KaggleError, Refused, InputError) as error:
            assert "\n" not in str(error) and TOKEN not in str(error)
            raise
        finally:
            assert TOKEN not in str(ledger.submissions())

    return run
