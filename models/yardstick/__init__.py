"""A yardstick for the network: simple models of the same window, and what the network is worth over them."""
