"""Drift: what a day's counts show against the days before, why, and since when."""
