"""Days side by side: independent days run at once, on threads of this process or on a Dask cluster.

A day's work is a plain function of the day, so it can be sent to another process; it reads the store and answers a
small reference. Each day gets its share of its machine, so many days take no more memory than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from ctr_retrain.tasks.orchestration.dask_cluster import require_dask
from ctr_retrain.tasks.orchestration.parallel_days import work_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class FanOut:
    """The way in which days run side by side."""

    runner: Literal["threads", "dask"]
    days_at_once: int  # on a machine
    dask_address: str = ""  # of a cluster's scheduler; empty: a cluster of local processes is started

    def __post_init__(self) -> None:
        """Raise UsageError where Dask is asked for and not installed."""
        if self.runner == "dask":
            require_dask()

    def over(self, days: Sequence[Item], what: str, work: Callable[[Item], Result]) -> dict[Item, Result]:
        """Call `work` for each day, or shard of one; results keep the days' order, and one day alone runs right here.

        `what` names the work for people. The first error, by the order of the days, ends it all: days under way are
        finished, the others dropped.
        """
        if len(days) < 2:
            return {day: work(day) for day in days}
        dask_address = self.dask_address if self.runner == "dask" else None
        results = work_side_by_side(list(days), what, work, self.days_at_once, dask_address)
        return dict(zip(days, results, strict=True))
