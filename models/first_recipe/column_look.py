"""A column of a sample as it looks: how full it is, and which answers, numbers or times its values could be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ctr_retrain.models import usual_words
from ctr_retrain.models.first_recipe.time_look import TimeLook, look_for_time
from ctr_retrain.models.usual_words import NULL_MARKERS

if TYPE_CHECKING:
    from collections.abc import Mapping

# Texts that say that nothing is there; -1 is how logs write a time that never came.
NOTHING = frozenset({"", *NULL_MARKERS})
NO_TIME = frozenset({"-1", "-1.0", "0"})
YES, NO = frozenset({"1", "1.0", *usual_words.YES}), frozenset({"0", "0.0", *usual_words.NO})
LOOKED_AT = 300  # values that a pattern is tried on, evenly over all different ones
MOSTLY = 0.98  # of the rows: what misses fewer of them is damage, not another kind of column
NUMBER = {
    ".": re.compile(r"[+-]?(\d+([.]\d*)?|[.]\d+)([eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?\d+(,\d+)?"),
}
LIST_DELIMITERS = ("|", ";", ",", " ")


@dataclass(frozen=True, eq=False)
class ColumnLook:
    """One column of a sample."""

    name: str
    type: str  # DuckDB's
    rows: int  # of the sample, with and without a value
    counts: Mapping[str, int]  # value as text → its rows; nulls left out

    @cached_property
    def filled(self) -> dict[str, int]:
        """Values that say something, with their rows."""
        return {value: rows for value, rows in self.counts.items() if value.strip().lower() not in NOTHING}

    @cached_property
    def filled_rows(self) -> int:
        """Rows with a value."""
        return sum(self.filled.values())

    @property
    def filled_share(self) -> float:
        """Share of the rows with a value."""
        return self.filled_rows / self.rows if self.rows else 0.0

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.filled)

    @property
    def top_share(self) -> float:
        """Share of the rows that hold the most frequent value."""
        return max(self.filled.values(), default=0) / self.rows if self.rows else 0.0

    @property
    def always_filled(self) -> bool:
        """True where nearly every row has a value, so that a row without one may be refused."""
        return self.filled_share >= MOSTLY

    @cached_property
    def yes_rows(self) -> int:
        """Rows that say yes."""
        return sum(rows for value, rows in self.filled.items() if value.strip().lower() in YES)

    @cached_property
    def is_flag(self) -> bool:
        """True where all values are answers, and both yes and no, or nothing, are among them."""
        answers = {value.strip().lower() for value in self.filled}
        return bool(answers & YES) and answers <= YES | NO and (bool(answers & NO) or self.filled_share < 1)

    @property
    def is_number_flag(self) -> bool:
        """True where all answers are 0 and 1, on each row."""
        return self.is_flag and self.filled_share == 1 and self.filled.keys() <= {"0", "1", "0.0", "1.0"}

    @cached_property
    def time(self) -> TimeLook | None:
        """The way in which its values write times; None where they are none."""
        values = [value for value in self.filled if value.strip() not in NO_TIME]
        return None if self.is_flag else look_for_time(_spread(values), self.type)

    @property
    def time_rows(self) -> int:
        """Rows with a time, where values are times."""
        return sum(rows for value, rows in self.filled.items() if value.strip() not in NO_TIME)

    @cached_property
    def decimal(self) -> str:
        """The decimal mark of its values where all are numbers; empty where they are none."""
        values = [value.strip() for value in _spread(list(self.filled))]
        return next((mark for mark, form in NUMBER.items() if values and all(map(form.fullmatch, values))), "")

    @cached_property
    def numbers(self) -> list[float]:
        """Values as numbers, rising, each once; none where they are no numbers."""
        if not self.decimal:
            return []
        form = NUMBER[self.decimal]
        return sorted(float(v.strip().replace(",", ".")) for v in self.filled if form.fullmatch(v.strip()))

    @property
    def integers(self) -> bool:
        """True where all values are integers."""
        return bool(self.numbers) and all(number.is_integer() for number in self.numbers)

    @cached_property
    def list_delimiter(self) -> str:
        """Separator of values that hold several; empty where they hold one each."""
        values = _spread(list(self.filled))
        if self.type.endswith("]") or (values and all(value.lstrip().startswith("[") for value in values)):
            return "|"
        for delimiter in LIST_DELIMITERS[:1]:  # other characters stand in names and sentences as well
            if values and sum(delimiter in value for value in values) > len(values) / 5:
                return delimiter
        return ""

    @property
    def nested(self) -> bool:
        """True where values are objects with keys of their own, which are no value of a feature."""
        values = _spread(list(self.filled))
        texts = all(value.lstrip().startswith(("{", "[{")) for value in values)
        return self.type.startswith(("STRUCT", "MAP")) or "STRUCT" in self.type or bool(values and texts)


def _spread(values: list[str]) -> list[str]:
    """Return evenly some of the values."""
    return values[:: max(1, len(values) // LOOKED_AT)]
