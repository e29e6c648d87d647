"""When a file is sent: the options of `harness submit`, apart from all that sending takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SendRules:
    """When a file is sent. Each field is an option of `harness submit`, its docstring the help."""

    min_gain: float = 0.0
    """By how much the local score must beat the best one submitted so far."""
    force: bool = False
    """Send the file whatever its local score is, or without one."""
    reserve: int = 0
    """Submissions of today to keep."""
    dry_run: bool = False
    """Do everything except the upload."""


DEFAULT_RULES = SendRules()
