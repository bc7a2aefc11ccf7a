"""Nights: how each day's run began and ended, and what people have to know of it beside its data."""
