"""Decisions of the models: what they cost in currency, whom else they touch, and what the log can't show of them."""
