"""From a detection table to a competition's CSV, its check, the submission, and the ledger. Never torch."""
