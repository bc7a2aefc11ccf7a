"""Verbs: one stage of the pipeline a file. Each reads what earlier stages wrote and writes one object."""
