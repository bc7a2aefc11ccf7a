"""Leaks: features that are known only after the outcome, found by what each tells of the label by itself."""
