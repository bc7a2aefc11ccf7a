"""A machine that no longer answers the others, as TensorFlow tells these: which one, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.errors import ProcessDiedError

if TYPE_CHECKING:
    from collections.abc import Mapping

# TensorFlow's errors of what a machine waits for from others, by name: to import their types would take seconds.
OF_OTHERS = frozenset(
    ("AbortedError", "CancelledError", "DeadlineExceededError", "InternalError", "UnavailableError", "UnknownError")
)
SHARED_WORK = "Collective ops is aborted by: "
PLACE = re.compile(r"/task:(\d+)")


class MachineLostError(ProcessDiedError):
    """The loss of another machine, as one that waits for it sees it; the other's own end says more."""


def told_of_lost_machine(error: Exception, cluster: Mapping[str, Any]) -> Exception:
    """Return an error as it is, or a MachineLostError if it says that another machine of the cluster is lost.

    cluster: this machine's TF_CONFIG.
    """
    text = str(error)
    if type(error).__name__ not in OF_OTHERS or SHARED_WORK not in text:
        return error
    workers, own = cluster["cluster"]["worker"], cluster["task"]["index"]
    reason = text.partition(SHARED_WORK)[2].strip()
    named = {int(place) for place in PLACE.findall(reason)} - {own}
    lost = [worker for place, worker in enumerate(workers) if place != own and (place in named or not named)]
    told = MachineLostError(
        f"training on {' and '.join(lost)}: expected it to go on to the end as the others, received none of its signs "
        f"of life ({reason.splitlines()[0]}). Look whether it was stopped, is overloaded or can't be reached any more, "
        "and run again: training goes on from its last checkpoint."
    )
    told.__cause__ = error
    return told
