"""The recipe's [landing]: how landed files are read, which maps other people's formats to our streams."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from ctr_retrain.models.mistakes import refuse
from ctr_retrain.models.section import Section
from ctr_retrain.models.time_format import EPOCH_MICROSECONDS, readable_time

if TYPE_CHECKING:
    from collections.abc import Iterator


def _known_zone(name: str) -> str:
    """Raise ValueError unless the name is that of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = "expected a time zone such as Europe/Berlin"
        raise ValueError(msg) from error
    return name


def _own_time(time: str) -> str:
    """Raise ValueError unless it is empty or a way to write time."""
    return time and readable_time(time)


def _one_delimiter(delimiter: str) -> str:
    """Raise ValueError unless it is empty or a character that no name, number or time holds."""
    if delimiter and not re.fullmatch(DELIMITER, delimiter):
        msg = 'expected one character such as ",", ";", "|" or "\\t", or "" to go by the file'
        raise ValueError(msg)
    return delimiter


UNIX_EPOCH = date(1970, 1, 1)
# Marks, tabs and the control characters that Hive and its like write; not what begins JSON, encloses or escapes.
DELIMITER = r"[,;|\t~^#!$%&*@\x01-\x08\x1c-\x1f]"


class Columns(Section):
    """Our name of a column = yours. `user.id` is `id` in the object or struct `user`. Empty: your files have none."""

    ts: Annotated[str, Field(min_length=1)] = "ts"
    """When the impression was shown or sent."""
    user_id: str = "user_id"
    """Whom it was shown to; the calibration slice and the gate's intervals keep a user's rows together."""
    channel: str = "channel"
    """One of `[channels]`."""
    campaign_id: str = "campaign_id"
    """Whose it is; drift is broken down by it, and the gate's intervals count it as a random factor."""
    value: str = ""
    """Bid or margin of the impression."""
    confidence: str = ""
    """How far the row can be trusted, in (0, 1]; multiplies its weight."""
    propensity: str = ""
    """Probability with which the serving policy chose the impression; judges by inverse propensity, never a feature."""
    explore: str = ""
    """Whether the impression was shown to explore; such rows are judged by themselves too. Never a feature."""
    served_probability: str = ""
    """What the model in service predicted; tells how far the log reaches below its threshold. Never a feature."""
    model_version: str = ""
    """Which model that was; kept, never a feature."""
    label: str = ""
    """Inline label, 0 or 1; empty: labels come from the outcomes."""


class OutcomeColumns(Section):
    """Our name of an outcome's column = yours."""

    event_id: Annotated[str, Field(min_length=1)] = "event_id"
    """The impression's `event_id`."""
    ts: Annotated[str, Field(min_length=1)] = "ts"
    """When the outcome happened, written as the impressions' times are."""
    kind: Annotated[str, Field(min_length=1)] = "kind"
    """What happened, such as `click`."""

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        """Raise ValueError if one column is given two meanings; case is ignored, as SQL ignores it."""
        if len({self.event_id.lower(), self.ts.lower(), self.kind.lower()}) < 3:
            msg = f"expected three different columns, received {self.event_id!r}, {self.ts!r} and {self.kind!r}"
            raise ValueError(msg)
        return self


class InlineOutcome(Section):
    """An outcome that stands in the impression's own row; `land` makes of it a row of the outcome stream."""

    kind: Annotated[str, Field(min_length=1)]
    """The kind of outcome that the column tells of."""
    column: str = ""
    """Your column: yes, true or 1 where it happened; no, false, 0 or nothing where it did not. Empty, or the same as
    `ts`: a time says that it happened."""
    ts: str = ""
    """Your column with the outcome's own time; empty: it happened with the impression."""

    @model_validator(mode="after")
    def _has_a_column(self) -> Self:
        """Raise ValueError where nothing tells of the outcome."""
        if not self.column and not self.ts:
            msg = f"expected column or ts of {self.kind!r}, received neither"
            raise ValueError(msg)
        return self

    @property
    def told_by_time(self) -> bool:
        """Return True where a time that is there says that it happened."""
        return self.column in ("", self.ts)

    @property
    def told_by(self) -> str:
        """Return the column that tells whether the outcome happened."""
        return self.column or self.ts


class EventLog(Section):
    """A file that holds impressions and outcomes as rows of one form, which `land` takes apart."""

    column: str = ""
    """Your column that says what a row tells of, such as `event`; empty: each row is an impression."""
    impressions: tuple[str, ...] = ()
    """Its values on rows that are impressions, such as `["sent"]`. On all others it is the outcome's kind, and
    `event_id_columns` say of which impression."""

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        """Raise ValueError for one of the keys without the other."""
        if bool(self.column) != bool(self.impressions):
            msg = f"expected column and impressions, or neither, received {self.column!r} and {list(self.impressions)}"
            raise ValueError(msg)
        return self


class Landing(Section):
    """Rules for reading landed files."""

    time: Annotated[str, AfterValidator(readable_time)] = "iso"
    """How time is written: `iso`, `epoch_s`, `epoch_ms`, `epoch_us` or a strptime format; without a zone it is UTC."""
    outcome_time: Annotated[str, AfterValidator(_own_time)] = ""
    """How outcomes' own times are written, where that differs; empty: as `time`."""
    origin: date = UNIX_EPOCH
    """The day from whose start the numbers of `epoch_*` count."""
    null_values: tuple[str, ...] = ()
    """Texts that mean that nothing is there, in every column, such as `["NULL", "-"]`. Numbers, times and labels need
    none for `\\N`, `NULL`, `NA`, `N/A`, `None` and `NaN`, which may be values of other columns."""
    delimiter: Annotated[str, AfterValidator(_one_delimiter)] = ""
    """What stands between the fields of CSV, such as `;`, `|` or a tab; empty: a comma or a tab, by the file's ending
    and first line. A file whose first line looks like it had another one is unreadable."""
    decimal: Literal[".", ","] = "."
    """Decimal mark of numbers that are written as texts."""
    late_days: Annotated[int, Field(ge=0, le=30)] = 1
    """Files that land on day L may hold impressions of the days L - `late_days` to L."""
    early_minutes: Annotated[int, Field(ge=0, lt=24 * 60)] = 0
    """Files that land on day L may hold rows of so many minutes of the next day, since loggers change files late."""
    day_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """Time zone by whose days files land: `dt=2026-03-01` then holds that day of this zone. Event days stay UTC."""
    grace_days: Annotated[int, Field(ge=0, le=30)] = 0
    """How many days more to wait for late outcome files before labels count as mature."""
    max_file_gb: Annotated[float, Field(gt=0)] = 100
    """Largest file in GiB, unpacked, with 8 bytes or more for each value of Parquet; a larger one is unreadable, so
    that a bomb ends there."""
    buckets: Annotated[int, Field(ge=1, le=1024)] = 1
    """Shards, by a hash of `event_id`, into which a day is cut that is too large for one machine."""
    event_id_from: Literal["columns", "file_row"] = "columns"
    """Where an impression's id comes from: `event_id_columns`, or the file's name and the row's number."""
    event_id_columns: Annotated[tuple[str, ...], Field(min_length=1)] = ("event_id",)
    """Your column with the impression's id, or several to be joined."""
    channel_constant: str = ""
    """The channel of all rows, where the files have no such column."""
    missing_campaign: str = ""
    """Campaign of rows that have none, such as `none`; empty: such rows are quarantined."""
    outcome_kind: str = ""
    """The kind of all outcomes, where their files have no such column."""
    columns: Columns = Columns()
    """Your names of our columns."""
    outcome_columns: OutcomeColumns = OutcomeColumns()
    """Your names of the outcomes' columns."""
    outcomes: tuple[InlineOutcome, ...] = ()
    """Outcomes in the impression's own row, which `land` takes out."""
    event_log: EventLog = EventLog()
    """Impressions and outcomes in one file, row by row, which `land` takes apart."""

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        """Raise ValueError for keys that contradict each other, with all that do."""
        refuse(self._mistakes())
        return self

    def _mistakes(self) -> Iterator[str]:
        """Find keys that contradict each other, each as a sentence."""
        kinds = [outcome.kind for outcome in self.outcomes]
        if self.origin != UNIX_EPOCH and self.time not in EPOCH_MICROSECONDS:
            yield (
                f"expected origin only where times are numbers ({', '.join(EPOCH_MICROSECONDS)}), "
                f"received origin {self.origin} with time {self.time!r}"
            )
        if kinds and self.columns.label:
            yield f"expected columns.label or outcomes, received both: {self.columns.label!r} and {kinds}"
        if self.outcome_time and (untimed := [outcome.kind for outcome in self.outcomes if not outcome.ts]):
            yield f"outcomes: expected ts of each beside outcome_time, received none of {untimed}"
        if len(set(kinds)) != len(kinds):
            yield f"outcomes: expected different kinds, received {kinds}"
        if self.event_log.column and (kinds or self.columns.label or self.event_id_from != "columns"):
            yield (
                "event_log: expected outcomes as rows of their own, found by event_id_columns, received beside it "
                f"outcomes {kinds}, columns.label {self.columns.label!r}, event_id_from {self.event_id_from!r}"
            )

    @property
    def max_file_bytes(self) -> int:
        """Return the size of the largest text file, unpacked, in bytes."""
        return round(self.max_file_gb * 2**30)

    def day_start(self, day: date) -> datetime:
        """Return the time, in UTC and without a zone, at which a landing day begins."""
        begins = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.day_zone))
        return begins.astimezone(UTC).replace(tzinfo=None)

    def time_bounds(self, day: date) -> tuple[datetime, datetime]:
        """Return the first time that an impression of a landing day may have, and the first that is too late."""
        end = self.day_start(day + timedelta(days=1)) + timedelta(minutes=self.early_minutes)
        return self.day_start(day - timedelta(days=self.late_days)), end

    @property
    def most_days_late(self) -> int:
        """Return the most days from an event day to a landing day that may hold its impressions."""
        return self.late_days + any(offset > timedelta() for offset in self._offsets)

    @property
    def most_days_early(self) -> int:
        """Return the most days from a landing day to a later event day of which it may hold impressions: 0 or 1."""
        return int(self.early_minutes > 0 or any(offset < timedelta() for offset in self._offsets))

    @property
    def _offsets(self) -> list[timedelta]:
        """Return how far the zone of landing days is ahead of UTC, in winter and in summer."""
        return [datetime(2026, month, 1, tzinfo=ZoneInfo(self.day_zone)).utcoffset() or timedelta() for month in (1, 7)]

    @property
    def inline_outcome_columns(self) -> tuple[str, ...]:
        """Return the columns that inline outcomes are read from, each once; they are known only after the decision."""
        named = [column for outcome in self.outcomes for column in (outcome.column, outcome.ts) if column]
        return tuple(column for column in dict.fromkeys(named) if column != self.columns.ts)
