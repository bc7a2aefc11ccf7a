"""Ingest: landing files of a day to clean impressions and outcomes, and the day's profile."""
