"""Sentences about the lease: who holds it, why a run doesn't get it, and why one has lost it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.errors import BusyError

if TYPE_CHECKING:
    from datetime import timedelta

    from ctr_retrain.models.documents.ref_documents import LeaseHolder, LeaseRef


def describe_holder(holder: LeaseHolder) -> str:
    """Say who holds the lease since when, and what it does."""
    return (
        f"`{holder.command}` of {holder.who} on {holder.host} (process {holder.process}), "
        f"which has the root since {holder.since}"
    )


def held_error(root: str, holder: LeaseHolder, age: timedelta | None, dead_seconds: float, waited: float) -> BusyError:
    """Make the error of a run that another one keeps from the root. waited: seconds, 0 where it didn't wait."""
    alive = "" if age is None else f"; its last sign of life is {age.total_seconds():.0f} s old"
    advice = (
        f"Run again once it is done, or raise CTR_RETRAIN_WAIT_MINUTES: this one waited {waited / 60:.0f} minutes"
        if waited
        else "Run again once it is done, or with --wait, which waits for it"
    )
    msg = (
        f"root {root}: expected no other run under way, received {describe_holder(holder)}{alive}. {advice}. "
        f"Where it hangs, end that process: a root is free {dead_seconds:.0f} s after the last sign of life."
    )
    return BusyError(msg, holder=holder.to_json())


def lost_error(root: str, token: int, own: LeaseHolder, now: LeaseRef | None) -> BusyError:
    """Make the error of a run that had the lease under `token` and has it no more."""
    raised = now.raised if now else None
    if raised is not None and raised.token > token:
        received = f"`{raised.command}` of {raised.who} at {raised.at}, which took the right to publish away"
    elif now is not None and now.holder is not None:
        received = (
            f"{describe_holder(now.holder)}: this process gave no sign of life for too long and was taken for dead"
        )
    else:
        received = "a root that was taken over meanwhile: this process gave no sign of life for too long"
    msg = (
        f"`{own.command}` on root {root}: expected to have the root to itself since {own.since}, received {received}. "
        "Nothing more was published. Run again: it starts from what is there now."
    )
    return BusyError(msg, lost=True)
