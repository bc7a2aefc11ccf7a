"""How landed files are read: the recipe's [landing], which maps other people's formats to our streams."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ctr_retrain.models.recipe.section import Section


def _readable_time(time: str) -> str:
    if time != "iso" and time not in EPOCH_MICROSECONDS and "%" not in time:
        msg = f"expected iso, {', '.join(EPOCH_MICROSECONDS)} or a strptime format"
        raise ValueError(msg)
    return time


EPOCH_MICROSECONDS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}  # in one unit of the number
UNIX_EPOCH = date(1970, 1, 1)


class Columns(Section):
    """Our name of a column = yours. An empty string: your files have none."""

    ts: Annotated[str, Field(min_length=1)] = "ts"
    user_id: str = "user_id"
    channel: str = "channel"
    campaign_id: str = "campaign_id"
    value: str = ""
    confidence: str = ""
    propensity: str = ""
    explore: str = ""
    served_probability: str = ""
    model_version: str = ""
    label: str = ""  # inline label, 0 or 1


class OutcomeColumns(Section):
    """Our name of an outcome's column = yours."""

    event_id: Annotated[str, Field(min_length=1)] = "event_id"  # of the impression
    ts: Annotated[str, Field(min_length=1)] = "ts"
    kind: Annotated[str, Field(min_length=1)] = "kind"

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len({self.event_id.lower(), self.ts.lower(), self.kind.lower()}) < 3:
            msg = f"expected three different columns, received {self.event_id!r}, {self.ts!r} and {self.kind!r}"
            raise ValueError(msg)
        return self


class InlineOutcome(Section):
    """An outcome that stands in the impression's own row; `land` makes of it a row of the outcome stream."""

    kind: Annotated[str, Field(min_length=1)]
    column: Annotated[str, Field(min_length=1)]  # 1 or true: it happened; 0, false or nothing: it did not
    ts: str = ""  # column of its own time; "": it happened with the impression


class Landing(Section):
    """How landed files are read."""

    time: Annotated[str, AfterValidator(_readable_time)] = (
        "iso"  # iso, epoch_s, epoch_ms, epoch_us, or a strptime format
    )
    origin: date = UNIX_EPOCH  # midnight UTC from which the numbers of epoch_* count
    late_days: Annotated[int, Field(ge=0, le=30)] = 1
    grace_days: Annotated[int, Field(ge=0, le=30)] = 0
    max_file_gb: Annotated[float, Field(gt=0)] = 100  # of one landed text file, unpacked; a larger one is unreadable
    buckets: Annotated[int, Field(ge=1, le=1024)] = 1  # pieces of a day, by a hash of event_id, ingested one by one
    event_id_from: Literal["columns", "file_row"] = "columns"
    event_id_columns: Annotated[tuple[str, ...], Field(min_length=1)] = ("event_id",)
    channel_constant: str = ""
    columns: Columns = Columns()
    outcome_columns: OutcomeColumns = OutcomeColumns()
    outcomes: tuple[InlineOutcome, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        kinds = [outcome.kind for outcome in self.outcomes]
        if self.origin != UNIX_EPOCH and self.time not in EPOCH_MICROSECONDS:
            msg = (
                f"expected origin only where times are numbers ({', '.join(EPOCH_MICROSECONDS)}), "
                f"received origin {self.origin} with time {self.time!r}"
            )
        elif kinds and self.columns.label:
            msg = f"expected columns.label or outcomes, received both: {self.columns.label!r} and {kinds}"
        elif len(set(kinds)) != len(kinds):
            msg = f"outcomes: expected different kinds, received {kinds}"
        else:
            return self
        raise ValueError(msg)

    @property
    def max_file_bytes(self) -> int:
        """The largest text file, unpacked."""
        return round(self.max_file_gb * 2**30)

    @property
    def inline_outcome_columns(self) -> tuple[str, ...]:
        """Columns that inline outcomes are read from, each once; known only after the decision."""
        named = [column for outcome in self.outcomes for column in (outcome.column, outcome.ts) if column]
        return tuple(column for column in dict.fromkeys(named) if column != self.columns.ts)
