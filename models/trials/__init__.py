"""Ways to train, compared on the same rows: the strategies that are tried, their differences, the recommendation."""
