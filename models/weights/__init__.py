"""Row weights: recency, class and confidence, and the offset that takes them out of probabilities again."""
