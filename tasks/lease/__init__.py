"""The lease: the right to publish under a root, which one run has at a time, and what keeps all others from it."""
