"""Observe: a root at a glance, for people as its status and for machines as metrics."""
