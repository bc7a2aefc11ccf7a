"""Training: batches, optimizers, the loop, its saved state, and starting from another model's weights."""
