"""Ways to train, compared on the same rows: what is tried, what separates them, what is recommended."""
