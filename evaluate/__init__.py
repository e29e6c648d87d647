"""Suppression, scores and sweeps of detection tables. Runs where torch does not."""
