"""Judging: metrics, costs and intervals of models on rows that they were not trained on."""
