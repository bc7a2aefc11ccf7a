"""Flows and stages, recorded by Prefect where a server of it is named; plain functions, as they are, where none is.

Prefect takes two seconds to import, and ten to start a server of its own for a run that nobody looks at there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ctr_retrain.tasks.orchestration.prefect_server import named_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ctr_retrain.models.errors import CtrRetrainError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def flow(
    name: str, failure: Callable[[Any], CtrRetrainError | None] | None = None
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Make a function a flow of that name.

    failure: of an answer that tells of failures, the error by which the flow run ends; its caller gets the answer.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        if named_server() is None:
            return function
        from ctr_retrain.tasks.orchestration.prefect_records import RecordedFlow  # noqa: PLC0415 - see above

        return RecordedFlow(function, failure, name=name)

    return decorate


def stage(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a function a stage of the flow that calls it."""
    if named_server() is None:
        return function
    from ctr_retrain.tasks.orchestration.prefect_records import recorded_task  # noqa: PLC0415 - see above

    return recorded_task(function)


def due_time() -> datetime | None:
    """Return when this run was due by a schedule; None where none began it."""
    if named_server() is None:
        return None
    from prefect import runtime  # noqa: PLC0415 - see above

    due: datetime | None = runtime.flow_run.scheduled_start_time
    return due
