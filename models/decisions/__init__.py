"""Decisions of the models: what they cost in currency, beside sending all or none and at other prices."""
