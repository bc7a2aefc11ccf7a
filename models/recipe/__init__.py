"""The recipe: what to train and how to judge it, a section a file."""
