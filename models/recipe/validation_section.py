"""The recipe's [validation] and [drift]: when a landed day is rejected, and when it alerts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctr_retrain.models.section import Positive, Section, Share


class Validation(Section):
    """Hygiene of a day; a day that fails one of these is rejected until somebody accepts it."""

    min_rows: Annotated[int, Field(ge=1)] = 1000
    """Fewest impressions of the day itself."""
    min_hours: Annotated[int, Field(ge=1, le=24)] = 24
    """Fewest hours of the day with impressions."""
    max_hours_since_last_event: Positive = 2.0
    """Longest time from the last impression to the day's end."""
    max_quarantined_share: Share = 0.02
    """Largest share of quarantined rows among those that came in, impressions and outcomes together."""
    max_duplicate_share: Share = 0.05
    """Largest share of duplicates, of the same rows."""
    max_unreadable_files: Annotated[int, Field(ge=0)] = 0
    """Most files that are torn, of another format, or without a required column."""
    max_mostly_quarantined_files: Annotated[int, Field(ge=0)] = 0
    """Most files of which over half of the rows can't be used, however few rows these are of the day."""
    min_attributed_share: Share = 0
    """Least share of outcomes that are of a labelled kind and whose impression landed on the same day; 0: three
    quarters of the median of the days before, from seven on."""
    max_unreadable_share: Share = 0.5
    """Largest share of a column's values that can't be read, or can't be what it says; they count as missing."""
    max_null_share: dict[str, Share] = Field(default_factory=dict)
    """Column = largest share of nulls: `{ device = 0.05 }`."""
    value_sets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Column = the only values that it may have: `{ device = ["android", "ios", "web"] }`."""


class Drift(Section):
    """Conditions of an alert on a day's positive ratio: effect and evidence are both needed."""

    history_days: Annotated[int, Field(ge=7)] = 28
    """Days before that the expected level rests on."""
    min_history_days: Annotated[int, Field(ge=3)] = 7
    """With fewer accepted days nothing is expected and nothing alerts."""
    min_effect: Annotated[float, Field(gt=0, lt=1)] = 0.2  # no fall reaches 1
    """Smallest relative change of the odds against the expected level."""
    min_z: Positive = 4.0
    """Smallest change in standard errors, overdispersion included."""
    holds_training: bool = False
    """A day with an alert trains nothing."""
    slices: Literal["auto"] | tuple[str, ...] = "auto"
    """Columns of texts whose values are counted each day by channel, to be watched apart; `[]`: none. `auto`:
    `campaign_id` where it is mapped, and columns of categorical features and of `[validation]` that are called like a
    device: `device`, `device_type`, `device_category`, `platform`, `os`, `os_name` or `operating_system`."""
