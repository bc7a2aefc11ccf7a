"""Compare ways to train on past days."""
