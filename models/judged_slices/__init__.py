"""Slices of the validation rows: calibration and cost of each, and the worst segments, which the whole can hide."""
