"""From a detection table to a competition's CSV, its check, and the ledger of scores. Runs where torch does not."""
