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
    """Conditions of an alert on a day's counts: size and evidence are both needed, and chance is given a budget."""

    history_days: Annotated[int, Field(ge=7)] = 120
    """Days before that are read each night; what is expected rests on them. Slides need 28 of them at least."""
    min_history_days: Annotated[int, Field(ge=3)] = 7
    """With fewer accepted days nothing is expected and nothing alerts."""
    min_effect: Annotated[float, Field(gt=0, lt=1)] = 0.2  # no fall reaches 1
    """Smallest fall of a ratio's odds, as a share, on one day; of a rise on the logarithmic scale twice as much, since
    holidays raise ratios and loggers lose. A slide of days is told from about half of it."""
    false_alarms_per_year: Positive = 4.0
    """Incidents a year, over all series together, that chance may open; how sure a change must be follows from it and
    from the number of series."""
    min_z: Annotated[float, Field(ge=0)] = 0.0
    """Fewest standard errors of a channel's ratio on one day, overdispersion included; 0: as the budget has it."""
    new_normal_days: Annotated[int, Field(ge=7)] = 28
    """A change that lasts so long is announced as the normal state; until then its days teach nothing about it, unless
    `alerts ack --normal` says sooner that it was meant."""
    holds_training: bool = False
    """A day with an alert trains nothing."""
    slices: Literal["auto"] | tuple[str, ...] = "auto"
    """Columns of texts whose values are counted each day by channel, to be watched apart; `[]`: none. `auto`:
    `campaign_id` where it is mapped, and columns of features of one text and of `[validation]` that are called like a
    device: `device`, `device_type`, `device_category`, `platform`, `os`, `os_name` or `operating_system`."""


# The keys of [drift] when recipes were first digested, with their defaults of then: a recipe without them keeps its
# digest though others took their place, which train nothing and judge no model.
DRIFT_BEFORE = {"history_days": 28, "min_history_days": 7, "min_effect": 0.2, "min_z": 4.0, "holds_training": False}
