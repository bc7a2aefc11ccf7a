"""Names of a labelled impression's columns: those that the pipeline gives itself, and mistakes in the recipe's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Names that the pipeline gives to columns of its own between landing and training, beside those of kinds of outcomes.
GIVEN = frozenset(
    {
        *("_slice", "_file", "_row", "_raw", "_reason", "_campaign", "_elsewhere", "file_row_number"),
        *("landed_days_late", "day_index", "user_bucket", "kept_out", "label"),
    }
)
GIVEN_PREFIXES = ("_head_", "_missing_", "_wrong_", "_time_", "_landing_", "_model_")


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
