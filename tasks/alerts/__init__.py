"""Incidents in the root, and the way by which people are told of them."""
