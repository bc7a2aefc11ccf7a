"""Slices: read what divides the validation rows, measure the models on each part, and check that none is harmed."""
