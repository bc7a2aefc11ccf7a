"""Decisions of the models: what they cost, at other prices too, and what a log of chosen rows can't show of them."""
