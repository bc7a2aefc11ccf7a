"""Seconds that a run's stages take, noted while they work."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_noted: ContextVar[dict[str, float] | None] = ContextVar("noted", default=None)


@contextmanager
def noting_times() -> Iterator[dict[str, float]]:
    """Give a dictionary that fills with each stage's seconds while this lasts, by the stage's name."""
    times: dict[str, float] = {}
    before = _noted.set(times)
    try:
        yield times
    finally:
        _noted.reset(before)


def timed(stage: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a stage note how long it took, however it ends; one that is called twice adds up."""

    @functools.wraps(stage)
    def work(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        times, began = _noted.get(), time.monotonic()
        try:
            return stage(*arguments, **named)
        finally:
            if times is not None:
                times[stage.__name__] = times.get(stage.__name__, 0.0) + time.monotonic() - began

    return work
