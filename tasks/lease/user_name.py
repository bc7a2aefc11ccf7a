"""The user's name, for the history of what is done by hand and for who holds a root."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """Name the user who runs this; in a container a user often has a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
