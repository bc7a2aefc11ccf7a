"""Names of a labelled impression's columns: which are given on the way, and which are left for the recipe's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Given to columns between landing and training, beside those of kinds.
GIVEN = frozenset(
    {
        *("_slice", "_file", "_row", "_raw", "_reason", "_campaign", "file_row_number"),
        *("landed_days_late", "day_index", "user_bucket", "kept_out", "label"),
    }
)
GIVEN_PREFIXES = ("_head_", "_missing_", "_wrong_", "_time_", "_landing_", "_model_")


def label_column(kind: str) -> str:
    """The column that says whether an impression had an outcome of the kind: 1, 0, null where its channel has none."""
    return f"label_{kind}"


def age_column(kind: str) -> str:
    """The column that says how many days after the event day the outcome landed; null where there is none."""
    return f"age_days_{kind}"


def name_mistakes(contract: Iterable[str], more: Iterable[str], kinds: Iterable[str]) -> Iterator[str]:
    """What is wrong with the names of columns and kinds, as SQL reads them, which doesn't tell case.

    contract: our own columns that the recipe maps. more: those that features and validation name.
    """
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
