"""The recipe's [channels]: what is a positive, until when an outcome counts, and what a decision costs."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from ctr_retrain.models.section import Name, Section, ShareBounds

WindowHours = Annotated[float, Field(ge=0, le=24 * 60)]

VALUE = "value"  # our name of the column with an impression's own bid or margin
# One term of a price: its sign, and a number, a multiple of `value`, or `value` itself.
_TERM = re.compile(rf"\s*([+-]?)\s*(?:(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:\s*\*\s*({VALUE}))?|({VALUE}))\s*")


class Linear(NamedTuple):
    """A price that may depend on the impression's value: fixed + per_value · value."""

    fixed: float
    per_value: float


def read_price(price: float | str) -> Linear:
    """Read a price: a number, or a sum of numbers and multiples of `value`, such as "0.02 - 0.8 * value".

    Raises ValueError for another text.
    """
    if not isinstance(price, str):
        return Linear(price, 0.0)
    terms, place = [0.0, 0.0], 0
    while place < len(price) or not place:
        term = _TERM.match(price, place)
        if not term or (place and not term[1]):
            msg = f'expected a number or a sum of multiples of {VALUE} such as "0.02 - {VALUE}", received {price!r}'
            raise ValueError(msg)
        sign, number, times, alone = term.groups()
        terms[bool(times or alone)] += (-1 if sign == "-" else 1) * float(number or 1)
        place = term.end()
    return Linear(*terms)


def _readable(price: str) -> str:
    """Raise ValueError unless a text is a price."""
    read_price(price)
    return price


Price = float | Annotated[str, AfterValidator(_readable)]


class Cost(Section):
    """Costs of one decision, by its outcome; a gain is a negative cost. Currency units per impression.

    Each is a number or names the impression's `value`: a click that earns the bid is `true_positive = "0.02 - value"`.
    """

    true_positive: Price
    """Of a positive that is sent; negative where it earns."""
    false_positive: Price
    """Of a negative that is sent."""
    true_negative: Price = 0.0
    """Of a negative that is not sent."""
    false_negative: Price = 0.0
    """Of a positive that is not sent."""

    @property
    def needless(self) -> Linear:
        """Return the price of sending what would not have been clicked, rather than not sending it."""
        return _less(self.false_positive, self.true_negative)

    @property
    def missed(self) -> Linear:
        """Return the price of not sending what would have been clicked, rather than sending it."""
        return _less(self.false_negative, self.true_positive)

    @property
    def names_value(self) -> bool:
        """Return True if a price depends on the impression's value."""
        prices = (self.true_positive, self.false_positive, self.true_negative, self.false_negative)
        return any(isinstance(price, str) for price in prices)

    @model_validator(mode="after")
    def _sending_must_be_a_choice(self) -> Self:
        """Raise ValueError for costs by which everything is sent, or nothing, whatever the probability and value."""
        needless, missed = self.needless, self.missed
        # A value isn't negative: what rises with it and doesn't begin below 0 is a price at each.
        if min(needless) < 0 or max(needless) <= 0 or max(missed) <= 0:
            msg = (
                "expected false_positive > true_negative and false_negative > true_positive, "
                "otherwise no probability is worth a threshold"
            )
            raise ValueError(msg)
        return self


def _less(one: float | str, other: float | str) -> Linear:
    """Return the difference of two prices."""
    (fixed, slope), (less, less_slope) = read_price(one), read_price(other)
    return Linear(fixed - less, slope - less_slope)


class Channel(Section):
    """One channel: its label, its costs, its absolute bounds."""

    positive_kind: str = "click"
    """The kind of outcome that makes an impression a positive."""
    attribution_window_hours: WindowHours = 24
    """How long after the impression such an outcome counts."""
    more_kinds: dict[Name, WindowHours] = Field(default_factory=dict)
    """Further kinds of outcomes with their windows in hours, each a label column of its own: `{ conversion = 168 }`."""
    gated: bool = True
    """Whether the gate waits for this channel's labels and judges it."""
    positive_ratio: ShareBounds
    """Absolute bounds of the positive ratio, as seen by the end of the same day; outside, the day is rejected."""
    cost: Cost
    """What one decision costs."""

    @property
    def windows_hours(self) -> dict[str, float]:
        """Return the attribution window of each kind that is labelled, in hours, the positive one first."""
        return {self.positive_kind: self.attribution_window_hours} | self.more_kinds

    @model_validator(mode="after")
    def _kinds_differ(self) -> Self:
        """Raise ValueError if the positive kind is also given as a further one."""
        if self.positive_kind in self.more_kinds:
            msg = f"more_kinds: expected others than positive_kind, received {self.positive_kind!r}"
            raise ValueError(msg)
        return self
