"""A library for any Keras model with rare classes: counts, weights, losses, metrics. The pipeline itself uses none."""
