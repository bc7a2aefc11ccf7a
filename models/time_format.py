"""Formats of times, as a recipe names them: tried when the recipe is read, not at night when the first file is."""

from __future__ import annotations

import re

EPOCH_MICROSECONDS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}  # microseconds in a unit of the number
# All that DuckDB's strptime reads behind %; a test asks DuckDB.
SPECIFIERS = frozenset("aAwudbBhmyYGVHIpMSTfngzZjUWcxX%") | {"-d", "-m", "-y", "-H", "-I", "-M", "-S", "-j"}
# What says which day it is: each set of specifiers is enough.
DAY_PARTS = (
    ({"Y", "y", "-y"}, {"m", "-m", "b", "B", "h"}, {"d", "-d"}),
    ({"Y", "y", "-y"}, {"j", "-j"}),
    ({"G"}, {"V"}, {"u", "w", "a", "A"}),
    ({"c"},),
    ({"x"},),
)


def readable_time(time: str) -> str:
    """Return the name of a way to write time; raise ValueError for one that no file could be read by."""
    if time == "iso" or time in EPOCH_MICROSECONDS:
        return time
    known = f"expected iso, {', '.join(EPOCH_MICROSECONDS)} or a strptime format"
    if "%" not in time:
        raise ValueError(known)
    used = re.findall(r"%(-?.?)", time, re.DOTALL)
    if unknown := [f"%{specifier}" for specifier in used if specifier not in SPECIFIERS]:
        msg = f"{known} of {', '.join(f'%{specifier}' for specifier in sorted(SPECIFIERS))}; not {', '.join(unknown)}"
        raise ValueError(msg)
    if not any(all(part & set(used) for part in parts) for parts in DAY_PARTS):
        msg = f"{known} with year, month and day, such as %Y-%m-%d %H:%M:%S"
        raise ValueError(msg)
    return time
