"""Values that a column had on a day, beside the only ones that it may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from typing import Any

MOST_VALUES = 20  # listed of one column; the rest is a number
VALUES_IN_A_SENTENCE = 5
MOST_CHARACTERS = 100  # shown of one value, which may be a megabyte of something else


@dataclass(frozen=True)
class ValueCount:
    """A value and the impressions that have it."""

    value: str  # as it landed
    rows: int

    @property
    def shown(self) -> str:
        """Return the value for a person: quoted where its ends or its characters don't show by themselves."""
        value = self.value[:MOST_CHARACTERS]
        # A space at an end, a line break or a mark that turns the text around is often the very mistake.
        plain = value and value.isprintable() and value == value.strip()
        text = value if plain else repr(value)
        return text if value == self.value else f"{text}… ({len(self.value):,} characters)"


@dataclass(frozen=True)
class ColumnValues:
    """The values of a column, and the most frequent of those that it may not have."""

    distinct: int  # values that occur, allowed or not
    unexpected: int  # those of them that are not allowed
    unexpected_rows: int  # impressions that have one of these
    most_frequent: tuple[ValueCount, ...]  # of the unexpected ones, most rows first; MOST_VALUES at most

    @property
    def received(self) -> str:
        """Write for a person what came in."""
        shown = ", ".join(count.shown for count in self.most_frequent[:VALUES_IN_A_SENTENCE])
        return shown or ("only these" if self.distinct else "nothing")

    @property
    def unlisted(self) -> int:
        """Return the number of unexpected values beyond the most frequent ones."""
        return self.unexpected - len(self.most_frequent)


def compare_values(values: pa.Table, column: str, allowed: Sequence[str]) -> ColumnValues:
    """Find the values of a column that are not among those allowed.

    values: rows by the column's name and value, as a day's profile counts them.
    """
    own = values.filter(pc.equal(values["name"], pa.scalar(column)))
    known: Any = pc.is_in(own["value"], value_set=pa.array(allowed, own["value"].type))
    unexpected = own.filter(pc.invert(known)).sort_by([("rows", "descending"), ("value", "ascending")])
    listed = unexpected.slice(0, MOST_VALUES).to_pylist()
    return ColumnValues(
        distinct=own.num_rows,
        unexpected=unexpected.num_rows,
        unexpected_rows=pc.sum(unexpected["rows"]).as_py() or 0,  # the sum of no rows is null
        most_frequent=tuple(ValueCount(row["value"], row["rows"]) for row in listed),
    )
