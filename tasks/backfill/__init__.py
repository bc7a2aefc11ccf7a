"""Backfills of past days: why each would run, how long that takes, and how all of it ends."""
