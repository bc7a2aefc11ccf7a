"""Ways in which times are written: ISO, a number since 1970, or one of the formats that exports use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

YEARS = range(1995, 2041)  # of events that somebody still has: other numbers are no times
ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?P<hours>[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(:?\d\d)?)?",
    re.IGNORECASE,
)
# Digits before the decimal point of the years above, by the unit that is counted since 1970.
EPOCHS = {"epoch_s": (9, 10), "epoch_ms": (12, 13), "epoch_us": (15, 16)}
SECONDS = {"epoch_s": 1.0, "epoch_ms": 1e-3, "epoch_us": 1e-6}
# Formats of digits alone come first, each for one length: %Y takes four digits and %m may take one.
DIGITS = {"%Y%m%d%H%M%S": 14, "%Y%m%d%H%M": 12, "%Y%m%d%H": 10, "%y%m%d%H": 8, "%Y%m%d": 8}
FORMATS = (
    *("%Y-%m-%d-%H:%M:%S", "%Y-%m-%d-%H:%M", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d"),
    *("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d.%m.%y %H:%M"),
    *("%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
    *("%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d/%m/%Y %I:%M %p"),
    *("%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%m-%d-%Y %H:%M", "%d-%m-%Y %H:%M"),
    *("%d/%b/%Y:%H:%M:%S %z", "%d %b %Y %H:%M:%S", "%d %b %Y %H:%M", "%b %d %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y"),
    *("%a, %d %b %Y %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%d-%b-%y %H:%M:%S"),
)


@dataclass(frozen=True)
class TimeLook:
    """One way in which a column's values are times."""

    written: str  # as the recipe's `landing.time` says it
    has_hours: bool  # False for dates alone
    zoned: bool  # the values say their zone, or count since 1970 in UTC
    other: str = ""  # another format that fits all values as well; empty: none does


def look_for_time(values: Sequence[str], physical: str = "VARCHAR") -> TimeLook | None:
    """Return how values write times, None where they are none; physical: DuckDB's type of the column."""
    if physical.startswith(("TIMESTAMP", "DATE")):
        return TimeLook(
            "iso", has_hours=physical != "DATE", zoned="TIME ZONE" in physical or physical.endswith("TZ_NS")
        )
    texts = [value.strip() for value in values]
    if not texts:
        return None
    matches = [ISO.fullmatch(text) for text in texts]
    if all(matches):
        found = [match for match in matches if match]
        hours = any(match["hours"] for match in found)
        return TimeLook("iso", has_hours=hours, zoned=all(match["zone"] for match in found))
    return _digits(texts) or _epoch(texts) or _format(texts)


def _digits(texts: Sequence[str]) -> TimeLook | None:
    """Recognise dates of digits alone."""
    fitting = [
        form
        for form, digits in DIGITS.items()
        if all(len(text) == digits and text.isdigit() for text in texts) and _all_read(texts, form)
    ]
    return TimeLook(fitting[0], "%H" in fitting[0], zoned=False) if fitting else None


def _epoch(texts: Sequence[str]) -> TimeLook | None:
    """Recognise a number since 1970; of fewer digits than a unit has it is no time that can be told from others."""
    if not all(re.fullmatch(r"\d+([.]\d+)?", text) for text in texts):
        return None
    for unit, (fewest, most) in EPOCHS.items():
        if all(fewest <= len(text.partition(".")[0]) <= most for text in texts):
            years = {datetime.fromtimestamp(float(text) * SECONDS[unit]).year for text in texts}  # noqa: DTZ006 - a year
            return TimeLook(unit, has_hours=True, zoned=True) if years <= set(YEARS) else None
    return None


def _format(texts: Sequence[str]) -> TimeLook | None:
    """Recognise one of the formats, and say which other one fits as well: days up to 12 leave months open."""
    fitting = [form for form in FORMATS if _all_read(texts, form)]
    if not fitting:
        return None
    form, other = (*fitting, "")[:2]
    return TimeLook(form, has_hours="%H" in form or "%I" in form, zoned="%z" in form, other=other)


def _all_read(texts: Sequence[str], form: str) -> bool:
    """Tell whether each text is a time of a plausible year in a format."""
    try:
        return all(datetime.strptime(text, form).year in YEARS for text in texts)  # noqa: DTZ007 - only if it can be read
    except ValueError:
        return False
