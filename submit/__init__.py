"""From a table to a CSV, its check, the submission that counts, and the ledger. Never torch."""
