"""The simulated world: traffic whose true click probability is known."""
