"""Training on several machines: a process on each, started by a run and ended with it."""
