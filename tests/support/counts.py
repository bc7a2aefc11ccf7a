"""How often random and repeated tests draw: a few times in `make test`, at full counts in `make soak`."""

import os

SOAK = os.environ.get("SOAK") == "1"


def draws(few, full):
    """How many times here: `few` in `make test`, `full` in `make soak`."""
    return full if SOAK else few
