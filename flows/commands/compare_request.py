"""The request of `compare`, read from the command line, whose lists have commas between their values."""

from __future__ import annotations

from datetime import date
from typing import Any

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.trials.strategies import Grid, refuse_unknown
from ctr_retrain.tasks.compare.plan_comparison import CompareRequest

MAX_AGE_DAYS = 400  # of a training window on the freshness curve


def read_compare_request(day: date, lists: dict[str, str], **numbers: Any) -> CompareRequest:
    """Read the request; lists: strategies, half_lives, class_powers and ages as they were typed. Raises UsageError."""
    names = tuple(name.strip() for name in lists["strategies"].split(",") if name.strip())
    half_lives, class_powers = (_numbers(lists[name], name) for name in ("half_lives", "class_powers"))
    Grid(half_lives, class_powers)  # refuses what no recipe could say
    refuse_unknown(names)
    return CompareRequest(
        day, strategies=names, half_lives=half_lives, class_powers=class_powers, ages=_ages(lists["ages"]), **numbers
    )


def _numbers(text: str, name: str) -> tuple[float, ...]:
    """Read the numbers of a list as it was typed, each once, in their order."""
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(",") if part.strip()))
    except ValueError:
        msg = f"--{name.replace('_', '-')}: expected numbers separated by commas, received {text!r}"
        raise UsageError(msg) from None


def _ages(text: str) -> tuple[int, ...]:
    """Read the ages of the freshness curve: whole days above 0, rising; a 0 asks for none."""
    ages = sorted(_numbers(text, "ages"))
    if not all(0 <= age <= MAX_AGE_DAYS and age == int(age) for age in ages):
        msg = f"--ages: expected whole days from 0 to {MAX_AGE_DAYS}, received {text!r}"
        raise UsageError(msg)
    return tuple(int(age) for age in ages if age)
