"""Operate: what stands under a root, and what may be removed from it."""
