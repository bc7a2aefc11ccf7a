"""The year's budget: how much of it each change of the recipe may spend on taking over without being better.

The k-th change within 365 days gets 1 / (k·(k+1)) of it: a half, a sixth, a twelfth, and so on, which add up to 1,
however many there are. A change counts once, when its first night is judged; its share stays its own however
long it waits.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

YEAR = timedelta(days=365)


def share_of_budget(earlier: Iterable[date], opened: date) -> tuple[float, int]:
    """Return the share of the year's error for a change that was first judged on a day, and which change it is.

    earlier: the days on which other changes were first judged.
    """
    number = 1 + sum(opened - YEAR < day <= opened for day in earlier)
    return 1 / (number * (number + 1)), number
