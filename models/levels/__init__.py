"""Levels of a channel: what its days have taught of its ratio, volume and slices, and evidence of days that differ."""
