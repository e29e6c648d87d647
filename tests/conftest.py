"""One thread a test process: two that share two cores with other work wait for each other most of the time."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

pytest_plugins = ["tests.submitting"]
