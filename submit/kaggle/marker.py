"""How a submission is known again in Kaggle's list, whoever sent it and from wherever.

Its description ends with a marker that nobody types by accident, twelve digits of the file's hash:

    "five folds, TTA [3f9c21d80a47]"

A reply may be lost, the ledger may lie on another machine, a team mate may have been first: the
marker in the competition's list tells in each case that the file is there already.
"""

from submit.kaggle.client import RemoteSubmission
from submit.ledger import SubmissionRow


def marker(sha256: str) -> str:
    """What the description of a submission ends with."""
    return f"[{sha256[:12]}]"


def has_marker(remote: RemoteSubmission, sha256: str) -> bool:
    return marker(sha256) in (remote.message or "")


def is_same_submission(remote: RemoteSubmission, row: SubmissionRow) -> bool:
    """Whether both are one: by marker, and by name and size where Kaggle says them."""
    return (
        has_marker(remote, row.sha256)
        and remote.file_name in (row.file_name, None)
        and remote.bytes in (row.bytes, None)
    )
