"""Train: which rows, by which weights, encoded once, fitted, calibrated and saved."""
