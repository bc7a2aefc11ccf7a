"""Fencing stamps: each guarded ref says under which fencing token it was last written.

Tokens only rise. Whoever holds an older one than a ref is stamped with has lost the right to write it.
"""

from __future__ import annotations

from typing import Any

from ctr_retrain.models.errors import BusyError

STAMP = "fencing_token"  # in a stored ref, beside its own keys


def stamped(value: dict[str, Any], token: int | None, before: int) -> dict[str, Any]:
    """Return a ref's content as it is stored: with the writer's token, or with the stamp of before."""
    stamp = before if token is None else token
    return {**value, STAMP: stamp} if stamp else value


def take_stamp(stored: dict[str, Any]) -> int:
    """Take the stamp out of a ref's stored content and return it; 0 for a ref that has none."""
    stamp = stored.pop(STAMP, 0)
    return stamp if type(stamp) is int else 0


def check_stamp(name: str, root: str, token: int | None, stamp: int) -> None:
    """Raise BusyError where a ref was written under a newer token than the writer's."""
    if token is not None and stamp > token:
        msg = (
            f"ref {name} in {root}: expected a fencing token of {stamp} or newer, under which it was last written, "
            f"received {token}: another run has taken over. Nothing was written. Run again."
        )
        raise BusyError(msg, ref=name)
