"""Seconds that a run's stages take, noted while they work; and whoever is told of each one's end."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

Listener = Callable[[str, float, object], None]  # a stage's name, its seconds, and what it returned

_noted: ContextVar[dict[str, float] | None] = ContextVar("noted", default=None)
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def noting_times() -> Iterator[dict[str, float]]:
    """Give a dictionary that fills with each stage's seconds while this lasts, by the stage's name."""
    times: dict[str, float] = {}
    before = _noted.set(times)
    try:
        yield times
    finally:
        _noted.reset(before)


@contextmanager
def told_of_stages(listener: Listener) -> Iterator[None]:
    """Call the listener behind each stage that comes to a good end, while this lasts."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def timed(stage: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a stage note how long it took, however it ends; one that is called twice adds up."""

    @functools.wraps(stage)
    def work(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        times, began = _noted.get(), time.monotonic()
        try:
            result = stage(*arguments, **named)
        finally:
            took = time.monotonic() - began
            if times is not None:
                times[stage.__name__] = times.get(stage.__name__, 0.0) + took
        if listener := _listener.get():
            listener(stage.__name__, took, result)
        return result

    return work
