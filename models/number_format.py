"""Numbers written for people: three significant digits, per cent signs, a real minus sign, a dash for nothing."""

from __future__ import annotations

from decimal import Decimal

LEAST_PLAIN = 1e-7  # smaller numbers are written with an exponent: nobody counts eight zeros


def percent(ratio: float) -> str:
    """Write a ratio in per cent: 0.0123 → 1.23 %."""
    return f"{number(100 * ratio)} %"


def number(value: float) -> str:
    """Write a number of any size in three significant digits, from 100 on as a whole number.

    0.01234 → 0.0123, 12345.6 → 12,346; there is no exponent where one can do without.
    """
    if abs(value) >= 100:
        return _with_minus_sign(f"{value:,.0f}")
    rounded = f"{value:.3g}"
    return _with_minus_sign(f"{Decimal(rounded):f}" if abs(value) >= LEAST_PLAIN else rounded)


def fixed(value: float | None, digits: int) -> str:
    """Write a number with the given decimals, so that the numbers of a table's column line up; a dash for None."""
    return "–" if value is None else _with_minus_sign(f"{value:,.{digits}f}")


def signed(value: float | None, digits: int) -> str:
    """Write a difference with its sign, a plus too, and the given decimals; a dash for None."""
    return "–" if value is None else _with_minus_sign(f"{value:+,.{digits}f}")


def compact(count: float) -> str:
    """Write a large count in thousands or millions: 250000 → 250 k."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g} {letter}"
    return f"{count:.0f}"


def duration(seconds: float) -> str:
    """Write a time in a person's units: 3720 → 1 h 2 min, 75 → 1 min 15 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _with_minus_sign(text: str) -> str:
    """Replace the hyphen, which is all that Python writes, by the typographic minus sign."""
    return text.replace("-", "−")
