"""Names of a labelled impression's columns: those that the pipeline gives itself, and mistakes in the recipe's own.

Also which of them are slices, whose values are counted each day.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.recipe.landing_section import Columns
    from ctr_retrain.models.recipe.validation_section import Drift, Validation

# Names that the pipeline gives to columns of its own between landing and training, beside those of kinds of outcomes.
GIVEN = frozenset(
    {
        *("_slice", "_file", "_row", "_raw", "_reason", "_campaign", "_elsewhere", "file_row_number"),
        *("landed_days_late", "day_index", "user_bucket", "kept_out", "label", "_event_day", "_own_day", "_hour"),
    }
)
GIVEN_PREFIXES = ("_head_", "_guard_", "_missing_", "_wrong_", "_time_", "_landing_", "_model_", "_slice_")
MAPPED_TEXTS = ("campaign_id", "user_id", "explore", "model_version")  # of our own columns, those that can be slices
# Those that can't: keys, numbers and labels; and channels, which are counted apart as it is.
NO_SLICES = frozenset({"event_id", "ts", "channel", "value", "confidence", "propensity", "served_probability", "label"})
# Columns called so hold what an impression was shown on: the few values whose loggers fail each by itself.
DEVICE_LIKE = frozenset({"device", "devicetype", "devicecategory", "platform", "os", "osname", "operatingsystem"})


def label_column(kind: str) -> str:
    """Name the column with a kind of outcome's label: 1, 0, null where the impression's channel has no such kind."""
    return f"label_{kind}"


def age_column(kind: str) -> str:
    """Name the column with the days from the event day to the day on which the outcome landed; null without one."""
    return f"age_days_{kind}"


def name_mistakes(contract: Iterable[str], more: Iterable[str], kinds: Iterable[str]) -> Iterator[str]:
    """Find mistakes in the names of columns and kinds of outcomes, each as a sentence.

    contract: our own columns that the recipe maps. more: those that features and validation name.
    """
    # In lower case, since SQL reads them, which doesn't tell case.
    known: dict[str, str] = {name.lower(): name for name in contract}
    given = GIVEN - known.keys()
    for kind in kinds:
        if label_column(kind).lower() in given:
            yield f"channels: expected kinds that differ in more than case, received {kind!r} twice"
        given |= {label_column(kind).lower(), age_column(kind).lower()}
    for name in more:
        other = known.setdefault(name.lower(), name)
        if name.lower() in given or name.lower().startswith(GIVEN_PREFIXES):
            yield f"column {name!r}: expected a name of its own, received one that is given on the way. Rename it"
        elif other != name:
            yield f"column {name!r}: expected a name that differs from {other!r} in more than case. Rename it"


def slice_columns(drift: Drift, mapped: Columns, features: Sequence[Feature], rules: Validation) -> tuple[str, ...]:
    """Return the columns whose values are counted each day: those named, or the campaign and what is like a device."""
    if drift.slices != "auto":
        return tuple(dict.fromkeys(drift.slices))
    single = [feature for feature in features if feature.holds == "text" and not feature.list_delimiter]
    named = [source for feature in single for source in feature.sources]
    named += [*rules.max_null_share, *rules.value_sets]
    readable = set(_texts(mapped, features, rules))
    found = [column for column in named if column in readable and _device_like(column)]
    return tuple(dict.fromkeys([*(["campaign_id"] if mapped.campaign_id else []), *found]))


def slice_mistakes(drift: Drift, mapped: Columns, features: Sequence[Feature], rules: Validation) -> Iterator[str]:
    """Find slices that aren't columns of texts that the recipe reads, as a sentence."""
    known = _texts(mapped, features, rules)
    if strange := [column for column in drift.slices if drift.slices != "auto" and column not in known]:
        yield f"drift.slices: expected columns of texts that the recipe reads ({', '.join(known)}), received {strange}"


def _texts(mapped: Columns, features: Sequence[Feature], rules: Validation) -> tuple[str, ...]:
    """Return the columns of texts that are read of an impression, under the names that they have here."""
    own = [name for name in MAPPED_TEXTS if getattr(mapped, name)]
    held = [(source, feature.holds) for feature in features for source in feature.sources]
    unfit = NO_SLICES | {source for source, holds in held if holds != "text"}
    texts = [*(source for source, _ in held), *rules.max_null_share, *rules.value_sets]
    return tuple(dict.fromkeys([*own, *(column for column in texts if column not in unfit)]))


def _device_like(column: str) -> bool:
    """Return True if a column, or the last part of a nested one's name, is called like a device."""
    return re.sub(r"[^a-z0-9]", "", column.rpartition(".")[-1].lower()) in DEVICE_LIKE
