"""Evaluate and judge: maturity, both models' figures on the validation days, the verdict."""
