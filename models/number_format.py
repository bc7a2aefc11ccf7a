"""Figures as people read them: three digits that count, per cent signs, a real minus sign, a dash for nothing."""

from __future__ import annotations

from decimal import Decimal

LEAST_PLAIN = 1e-7  # smaller ones are written with an exponent


def percent(ratio: float) -> str:
    """A ratio: 0.0123 → 1.23 %."""
    return f"{number(100 * ratio)} %"


def number(value: float) -> str:
    """A number of any size: 0.01234 → 0.0123, 12345.6 → 12,346, without an exponent where it can be read."""
    if abs(value) >= 100:
        return _minus(f"{value:,.0f}")
    rounded = f"{value:.3g}"
    return _minus(f"{Decimal(rounded):f}" if abs(value) >= LEAST_PLAIN else rounded)


def fixed(value: float | None, digits: int) -> str:
    """With as many digits as its neighbours in a table."""
    return "–" if value is None else _minus(f"{value:,.{digits}f}")


def signed(value: float | None, digits: int) -> str:
    """A difference, with its sign."""
    return "–" if value is None else _minus(f"{value:+,.{digits}f}")


def compact(count: float) -> str:
    """A large count in thousands or millions: 250000 → 250 k."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g} {letter}"
    return f"{count:.0f}"


def _minus(text: str) -> str:
    return text.replace("-", "−")
