"""Conditional writes, on which every swap of a ref rests: what a service must refuse, and a probe whether it does.

Services that speak S3 honour both conditions, one of them, or neither, and say so nowhere. One that ignores `If-Match`
lets two promotions overwrite each other; one that ignores `If-None-Match` lets two first runs do so.
"""

from __future__ import annotations

import contextlib
from typing import Protocol

from ctr_retrain.models.errors import StorageError

STALE_ETAG = '"00000000000000000000000000000000"'  # of a version that never was


class ConflictError(StorageError):
    """A conditional write or read that met another version than its condition names."""


class Keys(Protocol):
    """A place in a bucket."""

    def write(self, name: str, content: bytes, **condition: str) -> str:
        """Put bytes under a key and return their ETag; raises ConflictError where the condition isn't met."""

    def delete(self, names: list[str]) -> None:
        """Remove keys; those that are not there are no error."""


def check_conditions(keys: Keys, name: str, root: str) -> None:
    """Raise StorageError, which names the failed probes, where the service would let two runs overwrite each other.

    Writes below the key `name` and removes it again.
    """
    missing = f"{name}-missing"
    try:
        etag = keys.write(name, b"first")
        probes = {
            "If-None-Match on a key that is there": _refuses(keys, name, IfNoneMatch="*"),
            "If-Match with a stale ETag": _refuses(keys, name, IfMatch=STALE_ETAG),
            "If-Match on a key that isn't there": _refuses(keys, missing, IfMatch=etag),
        }
        failed = {probe: received for probe, received in probes.items() if received}
        # Only now, since a write that should have been refused has changed the ETag.
        if not failed:
            failed = _accepts(keys, name, missing, etag)
    finally:
        with contextlib.suppress(StorageError):  # the probes tell more than that nothing could be removed
            keys.delete([name, missing])
    if failed:
        received = "; ".join(f"{probe}: {outcome}" for probe, outcome in failed.items())
        msg = (
            f"{root}: expected conditional writes to be refused where their condition isn't met and taken where it is, "
            f"received {received}. Two runs could overwrite each other: use a service that honours If-Match and "
            "If-None-Match, as S3 does."
        )
        raise StorageError(msg)


def _refuses(keys: Keys, name: str, **condition: str) -> str:
    """Make a write that has to be refused; return what came instead, empty where it was refused."""
    try:
        keys.write(name, b"second", **condition)
    except ConflictError:
        return ""
    except StorageError as error:
        return f"an error ({_briefly(error)})"
    return "success, as if there were no condition"


def _accepts(keys: Keys, name: str, missing: str, etag: str) -> dict[str, str]:
    """Make the two writes that have to be taken; return what came of those that were not."""
    failed = {}
    for probe, key, condition in (
        ("If-Match with the current ETag", name, {"IfMatch": etag}),
        ("If-None-Match on a key that isn't there", missing, {"IfNoneMatch": "*"}),
    ):
        try:
            keys.write(key, b"third", **condition)
        except StorageError as error:
            failed[probe] = f"an error ({_briefly(error)})"
    return failed


def _briefly(error: StorageError) -> str:
    """Return what was received, of an error that says it."""
    text = str(error)
    return text.partition("received ")[2].partition(",")[0] or text
