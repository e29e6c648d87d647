"""One thread per test process: two on two busy cores mostly wait for each other."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

pytest_plugins = ["tests.submitting"]
