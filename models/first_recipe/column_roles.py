"""The meaning of each column of a sample: time, id, user, campaign, channel, and what says what came of a row."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.first_recipe.known_names import (
    CAMPAIGNS,
    CHANNELS,
    EVENTS,
    MAIL,
    PUSH,
    TIMES,
    USERS,
    kind_of,
    plain,
    slug,
    words_of,
)
from ctr_retrain.models.first_recipe.time_look import TimeLook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ctr_retrain.models.first_recipe.column_look import ColumnLook
    from ctr_retrain.models.first_recipe.outcome_rows import OutcomeRows

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")  # of a channel in a recipe
MOST_CHANNELS = 8
NEARLY_ONE_EACH = 0.95  # different values to a row: of an id, some rows being duplicates
ONE_FOR_MANY = 0.3  # share of rows with one user: then it stands for users that nobody knows
TWINS = 0.02  # by which a flag's yeses and its times may differ, in shares of the yeses
UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
NEARLY_ALL_FOUND = 0.95  # of the outcomes, that find an impression
FROM_START = 400 * 86_400  # seconds: numbers below count since the start of the data, not since 1970


@dataclass(frozen=True)
class FoundOutcome:
    """An outcome in the impression's own row."""

    kind: str
    column: str
    ts: str = ""  # the column with its own time
    numbers: bool = False  # it is 0 or 1 on each row


@dataclass(frozen=True)
class Roles:
    """Columns by what they mean; empty where the file has none."""

    ts: str
    time: TimeLook
    outcomes: tuple[FoundOutcome, ...]  # the label's first; none where a file of outcomes is given
    event_id: str = ""  # empty: the file's name and the row's number make one
    user_id: str = ""
    campaign_id: str = ""
    channel: str = ""
    channel_names: tuple[str, ...] = ("ads",)
    from_start: bool = False  # the time's numbers count since the data's start, which the file doesn't say
    outcome_rows: OutcomeRows | None = None  # outcomes as rows of their own
    unsure: tuple[str, ...] = ()  # sentences

    @property
    def event_ids(self) -> tuple[str, ...]:
        """Columns that make an impression's id; none where the file's name and the row's number do."""
        if self.outcome_rows:
            return self.outcome_rows.impression_id
        return (self.event_id,) if self.event_id else ()

    @property
    def inline_label(self) -> str:
        """The column that is the label as it stands: 0 or 1, without a time of its own, and the only outcome."""
        first, *others = self.outcomes or (FoundOutcome("", ""),)
        return first.column if first.numbers and not (first.ts or others) else ""

    @property
    def known_later(self) -> frozenset[str]:
        """Columns that say what came of an impression."""
        return frozenset(name for outcome in self.outcomes for name in (outcome.column, outcome.ts) if name)


def find_roles(looks: Sequence[ColumnLook], outcome_rows: OutcomeRows | None = None) -> Roles:
    """Return what each column means, and what is unsure about it; outcome_rows: outcomes that stand in no column.

    Raises DataRejectedError where there is no time, or nothing that could be a label.
    """
    ts, time, from_start = _time(looks)
    outcomes = (FoundOutcome(outcome_rows.kinds[0], ""),) if outcome_rows else _outcomes(looks, ts)
    later = {name for outcome in outcomes for name in (outcome.column, outcome.ts)}
    free = [look for look in looks if look.name not in {ts, *later} and not look.nested]
    single = outcome_rows.impression_id[0] if outcome_rows and len(outcome_rows.impression_id) == 1 else ""
    event = single or _first(free, EVENTS, _identifies)
    event = event or next((look.name for look in free if _identifies(look) and _looks_like_id(look)), "")
    free = [look for look in free if look.name != event]
    user = _first(free, USERS, _names_users)
    free = [look for look in free if look.name != user]
    campaign = _first(free, CAMPAIGNS, lambda look: look.always_filled and 1 < look.distinct < look.rows / 2)
    channel = _first(free, CHANNELS, _names_channels)
    names = next((tuple(sorted(look.filled)) for look in free if look.name == channel), (_constant_channel(looks),))
    roles = Roles(ts, time, outcomes, event, user, campaign, channel, names, from_start, outcome_rows)
    return replace(roles, unsure=tuple(_doubts(roles, looks)))


def _first(looks: Iterable[ColumnLook], names: Sequence[str], fits: Callable[[ColumnLook], bool]) -> str:
    """Return the column with the likeliest name among those that fit; empty where none does."""
    fitting = {plain(look.name): look.name for look in reversed(list(looks)) if fits(look)}
    return next((fitting[name] for name in names if name in fitting), "")


def _time(looks: Sequence[ColumnLook]) -> tuple[str, TimeLook, bool]:
    """Return the column with the impression's time, how it is written, and if it counts since the data's start."""
    timed = [(look, look.time) for look in looks if look.time and look.always_filled and not kind_of(look.name)]
    if timed:
        place = {name: position for position, name in enumerate(TIMES)}
        best, time = min(timed, key=lambda pair: (not pair[1].has_hours, place.get(plain(pair[0].name), len(place))))
        return best.name, time, False
    for name in TIMES:
        for look in looks:
            if plain(look.name) == name and _counts_seconds(look):
                return look.name, TimeLook("epoch_s", has_hours=True, zoned=False), True
    found = ", ".join(f"{look.name} ({_example(look)})" for look in looks[:30])
    msg = (
        f"expected a column with each impression's time, received none that can be read as one: {found}. Export the "
        "time at which each was shown or sent, best as ISO 8601 in UTC such as 2026-03-01T12:00:00Z."
    )
    raise DataRejectedError(msg)


def _outcomes(looks: Sequence[ColumnLook], ts: str) -> tuple[FoundOutcome, ...]:
    """Return the outcomes that stand in the impressions' rows, that of the likeliest name first."""
    flags = [look for look in looks if look.is_flag and look.name != ts]
    named = [look for look in flags if kind_of(look.name)]
    times = [look for look in looks if look.time and look.name != ts and kind_of(look.name)]
    times += [look for look in looks if _counts_from_start(look) and look not in times and look.name != ts]
    found = [_with_time(look, times) for look in (named or flags[:1] if len(flags) == 1 else named)]
    taken = {outcome.ts for outcome in found}
    found += [
        FoundOutcome(kind_of(look.name), look.name, look.name)
        for look in times
        if look.name not in taken and look.filled_share < 1 and not look.integers
    ]
    order = ["click", "open", "conversion", "purchase"]
    kinds: dict[str, FoundOutcome] = {}
    for outcome in sorted(found, key=lambda one: order.index(one.kind) if one.kind in order else len(order)):
        kinds.setdefault(outcome.kind, outcome)
    if not kinds:
        msg = (
            "expected a column of 0 and 1, yes and no, or times that are empty where nothing happened, or --outcomes "
            f"FILE with what happened, received neither among {', '.join(look.name for look in looks)}.{_made(looks)}"
        )
        raise DataRejectedError(msg)
    return tuple(kinds.values())


def _with_time(flag: ColumnLook, times: Sequence[ColumnLook]) -> FoundOutcome:
    """Return a flag's outcome, with the column that holds a time on just the rows that say yes."""
    kind = kind_of(flag.name) or slug(flag.name, "positive")
    for look in times:
        apart = abs(look.time_rows - flag.yes_rows)
        if kind_of(look.name) in {kind, "positive"} and apart <= TWINS * flag.yes_rows:
            return FoundOutcome(kind, flag.name, look.name, flag.is_number_flag)
    return FoundOutcome(kind, flag.name, numbers=flag.is_number_flag)


def _counts_from_start(look: ColumnLook) -> bool:
    """Tell whether an outcome's times may be seconds since the data's start, -1 where it never came."""
    spoken = {"timestamp", "time", "ts", "at"} & set(words_of(look.name))
    return bool(spoken and kind_of(look.name) and look.integers and look.numbers[-1] > 1)


def _identifies(look: ColumnLook) -> bool:
    """Tell whether nearly each row has a value of its own, which is no time and no measurement."""
    unlike = look.time is not None or (look.decimal and not look.integers)
    return not unlike and look.always_filled and look.distinct >= NEARLY_ONE_EACH * look.rows


def _looks_like_id(look: ColumnLook) -> bool:
    """Tell whether a column is called an id, or holds UUIDs."""
    called = {"id", "uuid", "guid", "key", "uid"} & set(words_of(look.name)) or plain(look.name).endswith("id")
    return bool(called) or all(map(UUID.fullmatch, list(look.filled)[:100]))


def _names_users(look: ColumnLook) -> bool:
    """Tell whether a column holds many users on every row, rather than one value for those that nobody knows."""
    return look.always_filled and look.distinct > 1 and look.top_share < ONE_FOR_MANY


def _counts_seconds(look: ColumnLook) -> bool:
    """Tell whether numbers may be seconds since the data's start."""
    return look.always_filled and look.integers and 0 <= look.numbers[0] <= look.numbers[-1] < FROM_START


def _names_channels(look: ColumnLook) -> bool:
    """Tell whether all values can be names of a recipe's channels."""
    return look.filled_share == 1 and look.distinct <= MOST_CHANNELS and all(map(NAME.fullmatch, look.filled))


def _constant_channel(looks: Iterable[ColumnLook]) -> str:
    """Name the one channel of all rows."""
    words = {word for look in looks for word in words_of(look.name)}
    return "push" if words & PUSH else "mail" if words & MAIL else "ads"


def _made(looks: Iterable[ColumnLook]) -> str:
    """Say how a column of 0 and 1 is made of a rating; empty where there is none."""
    for look in looks:
        if {"rating", "stars", "score", "grade"} & set(words_of(look.name)) and look.numbers:
            low, high = look.numbers[0], look.numbers[-1]
            line = round(low + 0.75 * (high - low), 1)
            return (
                f" {look.name!r} holds numbers from {low:g} to {high:g}: make one of it, such as liked = 1 from "
                f"{line:g} on, else 0."
            )
    return ""


def _doubts(roles: Roles, looks: Sequence[ColumnLook]) -> Iterable[str]:
    """Say of each choice what speaks against it, and what to check."""
    if roles.from_start:
        yield f"time: {roles.ts!r} counts seconds from a start that the file doesn't say: put its day in landing.origin"
    elif not roles.time.zoned:
        yield f"time zone: {roles.ts!r} says none and is read as UTC; convert it before it lands if it is local time"
    if roles.time.other:
        yield f"time: {roles.ts!r} fits {roles.time.written} and {roles.time.other}; set landing.time to the right one"
    if not roles.time.has_hours:
        yield f"time: {roles.ts!r} holds days without hours, so outcomes can't be told by their delay"
    others = [look.name for look in looks if look.time and look.name != roles.ts and look.always_filled]
    if others:
        yield f"time: {roles.ts!r} was taken; times as well: {', '.join(others)}"
    if not roles.event_ids:
        yield "event_id: no column has a value of its own on each row, so the file's name and the row's number make it"
    if not roles.user_id:
        yield "user_id: no column is a user's, so rows of one user count as independent, and intervals are too narrow"
    if not roles.campaign_id:
        yield "campaign_id: no column is a campaign's, so drift and intervals are not broken down by it"
    yield from _label_doubts(roles, looks)


def _label_doubts(roles: Roles, looks: Sequence[ColumnLook]) -> Iterable[str]:
    """Say what is unsure about the label."""
    if rows := roles.outcome_rows:
        if len(rows.kinds) > 1:
            yield f"label: {rows.kinds[0]!r} makes a positive; {', '.join(rows.kinds[1:])} too could, see positive_kind"
        if rows.found_share < NEARLY_ALL_FOUND:
            by = " and ".join(rows.event_id)
            yield f"outcomes: {rows.found_share:.0%} find their impression by {by}; the others' impressions are missing"
        return
    label = roles.outcomes[0]
    kinds = [f"{outcome.column!r} ({outcome.kind})" for outcome in roles.outcomes]
    if len(kinds) > 1:
        yield f"label: {kinds[0]} makes a positive; {', '.join(kinds[1:])} too could, see positive_kind"
    elif not kind_of(label.column):
        yield f"label: {label.column!r} was taken, the only column of yes and no; its name doesn't say so"
    flags = [look.name for look in looks if look.is_flag and look.name not in roles.known_later]
    if flags and kind_of(label.column):
        yield f"label: {label.column!r} was taken; {', '.join(flags)}: of yes and no as well, and features"


def _example(look: ColumnLook) -> str:
    return next(iter(look.filled), "empty")[:40]
