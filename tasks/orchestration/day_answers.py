"""One day among those that run side by side: its share of the machine, and its place among the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.progress import progress_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


class Future(Protocol):
    """The answer of a day, as soon as there is one."""

    def result(self) -> Any:
        """Wait for the answer; raises what the work raised."""


def work_with_share(work: Callable[[Item], Result], day: Item, days_at_once: int) -> Result:
    """Work on one day, with its share of the machine."""
    with duck.sharing(days_at_once):
        return work(day)


def answers_in_order(futures: Sequence[Future], what: str) -> list[Any]:
    """Wait for all days; their answers in order, or the first error by that order."""
    answers = []
    with progress_of(what, "days") as progress:
        for number, future in enumerate(futures, start=1):
            answers.append(future.result())
            # Days that had to wait for this one to be counted come at once: only the last of them tells how far it is.
            if number == len(futures) or not _is_done(futures[number]):
                progress(number, len(futures))
    return answers


def _is_done(future: Future) -> bool:
    """Say whether an answer is known to be there; Prefect's don't tell."""
    done = getattr(future, "done", None)
    return bool(done is not None and done())
