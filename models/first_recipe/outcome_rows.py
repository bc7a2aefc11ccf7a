"""Outcomes as rows of their own, in a file of theirs or among the impressions: what happened, when, to which one.

Which columns say of which impression is no matter of names: it is those whose values are found among the impressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.first_recipe.known_names import CAMPAIGNS, EVENTS, KINDS, TIMES, USERS, kind_of, plain, words_of
from ctr_retrain.models.first_recipe.time_look import TimeLook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.first_recipe.column_look import ColumnLook

SHOWN = frozenset(
    {"impression", "impressions", "sent", "send", "delivered", "view", "viewed", "shown", "show", "served", "display"}
)
HAPPENED = {"select": "click", "tap": "click", "tapped": "click"}  # beside what columns are called
LOG_COLUMNS = frozenset({*KINDS, "eventkind", "seaction"})  # that may say what a row of an event log tells of
ORDER = ("click", "open", "conversion", "purchase")  # what makes a positive, likeliest first
MOST_KINDS = 30
FEW_FOUND = 0.5  # of the outcomes, that find an impression: with fewer the columns are not the same id
NEARLY_ALL = 0.95

Pair = tuple[tuple[str, ...], tuple[str, ...]]  # columns of an impression, and those of an outcome that say the same


@dataclass(frozen=True)
class OutcomeRows:
    """Outcomes as rows, and how they are read."""

    name: str  # of their file; empty: they stand among the impressions
    event_id: tuple[str, ...]  # their columns that say of which impression
    impression_id: tuple[str, ...]  # the impression's columns with the same values
    ts: str
    time: TimeLook
    kind_column: str  # empty: all are of one kind
    kinds: tuple[str, ...]  # as they are written, that which makes a positive first
    found_share: float  # of the outcomes that were looked at, those that find an impression
    impressions: tuple[str, ...] = ()  # of an event log: the kind column's values on impressions


def find_event_log(looks: Sequence[ColumnLook]) -> tuple[str, tuple[str, ...]] | None:
    """Return the column that says which rows are impressions and which outcomes, and its values on impressions."""
    for look in looks:
        if plain(look.name) not in LOG_COLUMNS or not 1 < look.distinct <= MOST_KINDS:
            continue
        shown = tuple(value for value in look.filled if _is_shown(value))
        if shown and any(_kind_of_value(value) for value in look.filled if value not in shown):
            return look.name, _first_step(shown)
    return None


STEPS = (
    "sent",
    "send",
    "impression",
    "impressions",
    "view",
    "viewed",
    "shown",
    "show",
    "display",
    "served",
    "delivered",
)


def _first_step(shown: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of one step alone: what was sent is delivered as well, and would count twice."""
    for step in STEPS:
        if found := tuple(value for value in shown if step in words_of(value)):
            return found
    return shown


def _is_shown(value: str) -> bool:
    return bool(SHOWN & set(words_of(value))) and not kind_of(value)


def _kind_of_value(value: str) -> str:
    """Return the kind of outcome that a value tells of; empty for none."""
    return kind_of(value) or next((HAPPENED[word] for word in words_of(value) if word in HAPPENED), "")


def candidate_ids(looks: Sequence[ColumnLook], outcomes: Sequence[ColumnLook], *, log: bool) -> list[Pair]:
    """Return the columns that may say of which impression an outcome is, single ones first.

    In a log both have the same columns, and pairs of them count too, such as message and user.
    """
    if not log:
        named = [look.name for look in looks if _could_identify(look)]
        theirs = [look.name for look in outcomes if _could_identify(look) and look.distinct > 1]
        return [((ours,), (other,)) for ours in named for other in theirs]
    filled = {look.name for look in outcomes if look.always_filled}
    likely = [look.name for look in looks if look.name in filled and look.always_filled and _is_key(look)]
    singles = [((name,), (name,)) for name in likely]
    return singles + [(pair, pair) for pair in combinations(likely, 2)]


def _could_identify(look: ColumnLook) -> bool:
    """Tell whether a column may hold ids, each on few rows."""
    unlike = look.time is not None or look.nested or (look.decimal and not look.integers)
    return not unlike and look.filled_rows > 0 and look.distinct >= NEARLY_ALL * look.filled_rows


def _is_key(look: ColumnLook) -> bool:
    """Tell whether a column is called as ids, users, campaigns are, or has a value of its own on each row."""
    if look.time is not None or look.nested or look.distinct < 2:
        return False
    return plain(look.name) in {*EVENTS, *USERS, *CAMPAIGNS, "seproperty", "subscriptionid"} or _could_identify(look)


def choose_pair(shares: Mapping[Pair, tuple[float, float]], where: str) -> tuple[Pair, float]:
    """Return the columns by which outcomes find impressions, and the share that does.

    shares: of each pair, the share of outcomes that find an impression, and of impressions with a value of their own.
    Raises DataRejectedError where none finds enough.
    """
    fitting = {pair: found for pair, (found, own) in shares.items() if found >= FEW_FOUND and own >= NEARLY_ALL}
    if fitting:
        # Of equal ones the shorter, then that whose name is likelier.
        place = {name: position for position, name in enumerate(EVENTS)}
        names = {one: place.get(plain(one[0][0]), len(place)) for one in fitting}
        pair = max(fitting, key=lambda one: (round(fitting[one], 2), -len(one[0]), -names[one]))
        return pair, fitting[pair]
    tried = {pair: found for pair, (found, own) in shares.items() if own >= NEARLY_ALL}
    best = max(tried, key=lambda one: tried[one], default=None)
    said = f"at best {tried[best]:.0%} of them, by {' and '.join(best[1])}" if best else "no column that could be one"
    msg = (
        f"{where}: expected a column whose values are ids of impressions, received {said}. Export the impression's id "
        "with each outcome, and one that no two impressions share with each impression."
    )
    raise DataRejectedError(msg)


def time_of(looks: Sequence[ColumnLook], where: str) -> tuple[str, TimeLook]:
    """Return the column with the outcomes' time, and how it is written; raises DataRejectedError where none is."""
    timed = [(look.name, look.time) for look in looks if look.time and look.always_filled]
    if not timed:
        msg = (
            f"{where}: expected a column with each outcome's time, received none among {[look.name for look in looks]}."
        )
        raise DataRejectedError(msg)
    place = {name: position for position, name in enumerate(TIMES)}
    return min(timed, key=lambda pair: (not pair[1].has_hours, place.get(plain(pair[0]), len(place))))


def kinds_of(looks: Sequence[ColumnLook], file_name: str) -> tuple[str, tuple[str, ...]]:
    """Return the column with the kinds, and the kinds, that which makes a positive first; of a file without, one."""
    for look in looks:
        if plain(look.name) in KINDS and 0 < look.distinct <= MOST_KINDS and any(map(_kind_of_value, look.filled)):
            return look.name, _by_order(look.filled)
    return "", (kind_of(file_name.partition(".")[0]) or "click",)


def _by_order(values: Mapping[str, int]) -> tuple[str, ...]:
    """Return kinds as they are written, that which makes a positive first; those that tell of nothing last."""
    place = {kind: position for position, kind in enumerate(ORDER)}

    def key(value: str) -> tuple[int, int]:
        kind = _kind_of_value(value)
        return (place.get(kind, len(place) if kind else len(place) + 1), -values[value])

    return tuple(sorted(values, key=key))


def rows_of_log(looks: Sequence[ColumnLook], column: str, impressions: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kinds of an event log's outcomes, that which makes a positive first."""
    (look,) = (look for look in looks if look.name == column)
    return _by_order({value: rows for value, rows in look.filled.items() if value not in impressions})
