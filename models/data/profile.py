"""The day's profile: the numbers measured of a landed day, and the range in which each of them must lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.number_format import number, percent

if TYPE_CHECKING:
    from ctr_retrain.models.documents.day_documents import Counts, LandedRows
    from ctr_retrain.models.recipe.recipe import Recipe


# By these the share of outcomes that found an impression is held against earlier days': it varies little from day to
# day, so that less than three quarters of the usual means that ids or kinds are written in another way.
LEAST_OF_USUAL = 0.75
FEWEST_DAYS = 7
FEWEST_OUTCOMES = 30  # with fewer, chance alone goes so far

# What each expectation is about, by the first part of its name; the second part, where it has one, is in brackets.
TITLES = {
    "rows": "impressions of the day itself",
    "hours_covered": "hours of the day with impressions",
    "hours_since_last_event": "hours from the last impression to the day's end",
    "quarantined_share": "quarantined rows among all that came in",
    "duplicate_share": "duplicates among all rows that came in",
    "unreadable_files": "files that could not be read",
    "mostly_quarantined_files": "files with over half of their rows quarantined",
    "attributed_share": "outcomes of a labelled kind whose impression landed on the same day",
    "unreadable_share": "values of {} that can't be read",
    "null_share": "impressions without a value of {}",
    "positive_ratio": "positive ratio of channel {}",
    "values": "values of {}",
}


@dataclass(frozen=True)
class Range:
    """The range in which a number of the profile must lie, ends included."""

    name: str  # of the number, as `measure_day` names it
    minimum: float | None = None  # None: open on this side
    maximum: float | None = None

    def expected(self) -> str:
        """Write the range for a person."""
        if self.minimum is not None and self.maximum is not None:
            return f"{_number_text(self.name, self.minimum)} to {_number_text(self.name, self.maximum)}"
        if self.minimum is not None:
            return f"at least {_number_text(self.name, self.minimum)}"
        assert self.maximum is not None
        return f"at most {_number_text(self.name, self.maximum)}"

    def received(self, value: float | None) -> str:
        """Write a received number for a person."""
        return "nothing" if value is None else _number_text(self.name, value)


@dataclass(frozen=True)
class ChannelCount:
    """Impressions of one channel and event day, and the positives among them seen by the day's end."""

    rows: int  # impressions
    positives: int  # among them


@dataclass(frozen=True)
class HourCounts:
    """Impressions and positives in one hour of a day."""

    hour: int  # 0 to 23, UTC
    channels: Mapping[str, ChannelCount]  # of those that had any

    @property
    def rows(self) -> int:
        """Return the impressions of all channels."""
        return sum(count.rows for count in self.channels.values())


def title_of(name: str) -> str:
    """Write for a person what the expectation of this name is about."""
    kind, _, part = name.partition("[")
    return TITLES[kind].format(part.removesuffix("]"))


def value_set_name(column: str) -> str:
    """Return the name of the expectation that a column has no other values than those allowed."""
    return f"values[{column}]"


def expected_ranges(recipe: Recipe) -> tuple[Range, ...]:
    """Return the ranges that a day must keep to be accepted: one for each number of `measure_day`."""
    rules = recipe.validation
    return (
        Range("rows", minimum=rules.min_rows),
        Range("hours_covered", minimum=rules.min_hours),
        Range("hours_since_last_event", maximum=rules.max_hours_since_last_event),
        Range("quarantined_share", maximum=rules.max_quarantined_share),
        Range("duplicate_share", maximum=rules.max_duplicate_share),
        Range("unreadable_files", maximum=rules.max_unreadable_files),
        Range("mostly_quarantined_files", maximum=rules.max_mostly_quarantined_files),
        *(Range(f"null_share[{column}]", maximum=share) for column, share in rules.max_null_share.items()),
        *(Range(f"positive_ratio[{name}]", *channel.positive_ratio) for name, channel in recipe.channels.items()),
    )


def landed_ranges(recipe: Recipe, landed: LandedRows, earlier_shares: Sequence[float]) -> tuple[Range, ...]:
    """Return the further ranges that a day must keep, by what landed on it.

    earlier_shares: of outcomes that found an impression, on days before; they give the least share where the recipe
    gives none.
    """
    rules = recipe.validation
    ranges = [
        Range(f"unreadable_share[{name}]", maximum=rules.max_unreadable_share) for name in landed.unreadable_values
    ]
    if landed.attribution is not None:
        least = rules.min_attributed_share
        if not least and landed.attribution.outcomes >= FEWEST_OUTCOMES and len(earlier_shares) >= FEWEST_DAYS:
            least = LEAST_OF_USUAL * median(earlier_shares)
        if least:
            ranges.append(Range("attributed_share", minimum=least))
    return tuple(ranges)


def measure_landed(landed: LandedRows) -> dict[str, float | None]:
    """Measure what landed on a day, for `landed_ranges`: number by name, None where there is nothing to measure."""
    shares = {f"unreadable_share[{name}]": values.share for name, values in landed.unreadable_values.items()}
    return {**shares, "attributed_share": landed.attribution.share if landed.attribution else None}


def measure_day(
    profile: pa.Table,
    day: date,
    recipe: Recipe,
    counts: tuple[Counts, Counts],
    unreadable_files: int,
    mostly_quarantined_files: int = 0,
) -> dict[str, float | None]:
    """Measure a day: number by name, None where there is nothing to measure.

    profile: the day's counts by event day, hour and channel. counts: of impressions and of outcomes, in this order.
    """
    # Late impressions of earlier days land with these; they are the earlier day's and say nothing about this one.
    today = _of_day(profile, day)
    rows = _total(today, "rows")
    received = sum(count.received for count in counts)
    begins, ends = recipe.landing.day_start(day), recipe.landing.day_start(day + timedelta(days=1))
    hours = len(today.group_by(["event_day", "hour"]).aggregate([]))
    lacking = (ends - begins) // timedelta(hours=1) - hours  # a day of a zone may have 23 or 25 hours
    last = pc.max(today["last_ts"]).as_py()
    ratios = {name: count.positives / count.rows for name, count in count_channels(profile, day).items()}
    return {
        "rows": rows,
        "hours_covered": min(24 - lacking, 24),
        "hours_since_last_event": (ends - last).total_seconds() / 3600 if last else None,
        "quarantined_share": sum(count.quarantined for count in counts) / received if received else None,
        "duplicate_share": sum(count.duplicates for count in counts) / received if received else None,
        "unreadable_files": unreadable_files,
        "mostly_quarantined_files": mostly_quarantined_files,
        **{
            f"null_share[{column}]": _total(today, f"nulls_{column}") / rows if rows else None
            for column in recipe.validation.max_null_share
        },
        **{f"positive_ratio[{name}]": ratios.get(name) for name in recipe.channels},
    }


def count_channels(profile: pa.Table, day: date) -> dict[str, ChannelCount]:
    """Count impressions with a label and positives of the day itself by channel; other days' are left out."""
    today = _of_day(profile, day)
    rows = "labelled" if "labelled" in profile.column_names else "rows"  # which an older version didn't tell apart
    grouped = today.group_by("channel").aggregate([(rows, "sum"), ("positives", "sum")]).to_pylist()
    counts = {row["channel"]: ChannelCount(row[f"{rows}_sum"], row["positives_sum"]) for row in grouped}
    return {channel: count for channel, count in counts.items() if count.rows}


def count_hours(profile: pa.Table, day: date) -> list[HourCounts]:
    """Count impressions and positives of the day itself by hour and channel; all 24 hours, empty ones too."""
    grouped = _of_day(profile, day).group_by(["hour", "channel"]).aggregate([("rows", "sum"), ("positives", "sum")])
    hours: list[dict[str, ChannelCount]] = [{} for _ in range(24)]
    for row in grouped.to_pylist():
        hours[row["hour"]][row["channel"]] = ChannelCount(row["rows_sum"], row["positives_sum"])
    return [HourCounts(hour, channels) for hour, channels in enumerate(hours)]


def _of_day(profile: pa.Table, day: date) -> pa.Table:
    """Return the rows of a landing day's profile that are about the day itself, as its zone cuts it."""
    own = "own_day" in profile.column_names  # which an older version didn't tell
    return profile.filter(profile["own_day"] if own else pc.equal(profile["event_day"], pa.scalar(day)))


def _total(table: pa.Table, column: str) -> int:
    """Sum a column."""
    total: Any = pc.sum(table[column]).as_py()
    return int(total or 0)  # the sum of no rows is null


def _number_text(name: str, value: float) -> str:
    """Write a number of the profile: shares and ratios in per cent."""
    return percent(value) if "share" in name or "ratio" in name else number(round(value, 2))
