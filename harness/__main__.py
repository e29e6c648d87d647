"""`python -m harness` where nothing is installed, as in a notebook without internet."""

import sys

from harness.cli.main import main

sys.exit(main())
