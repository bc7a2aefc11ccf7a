"""The recipe's [retention]: for how long `gc` keeps what nothing names any more."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ctr_retrain.models.section import Section


class Retention(Section):
    """The time for which `gc` keeps what no ref names any more."""

    runs_days: Annotated[int, Field(ge=1)] = 90
    """Runs of days up to so many before the newest run's day, with their labels and landed days."""
    champions: Annotated[int, Field(ge=1)] = 5
    """Earlier champions that a rollback can reach, with their runs."""
    min_age_hours: Annotated[float, Field(ge=1)] = 24.0
    """Nothing younger is removed: a run at work may need it."""
