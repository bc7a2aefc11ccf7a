"""Data of the demonstrations: days of the simulated world, and a public sample of real events."""
