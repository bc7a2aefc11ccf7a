"""Losses from logits that training uses, and the formulas that stand between a logit and its loss."""
