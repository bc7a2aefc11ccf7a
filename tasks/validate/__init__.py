"""Validate: bounds on a day's profile, drift of its positive ratio, alerts."""
