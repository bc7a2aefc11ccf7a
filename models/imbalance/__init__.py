"""Class imbalance as a library of its own: class counts and weights, losses from logits, metrics by label."""
