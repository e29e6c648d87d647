"""`python -m harness` where nothing is installed, as in a notebook without internet."""

import sys

from harness.cli import main

sys.exit(main())
