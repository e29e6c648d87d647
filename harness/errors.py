"""How commands fail. Bad input is `evaluate.tables.InputError`, exit status 2."""


class JobError(RuntimeError):
    """A job that was asked for correctly could not be finished; the message says what to do. Exit status 1."""
