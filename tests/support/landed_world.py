"""Small landed worlds for property tests, and an oracle in plain Python of what must become of them.

The oracle follows the landing contract's words, row by row; it shares nothing with the SQL that it judges.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil
from random import Random

from hypothesis import strategies as st

from ctr_retrain.models.documents.day_documents import Counts
from tests.conftest import encoded

FIRST = date(2026, 3, 2)
DAYS = [FIRST + timedelta(days=n) for n in range(5)]
MIDNIGHT = datetime(2026, 3, 2)  # noqa: DTZ001 - UTC, as the store keeps it
LATE_DAYS = 1
FILES = 3  # of a stream and day
FORMATS = ("jsonl", "csv", "parquet")
BROKEN = ('{"event_id": "x", "ts', "[1]", "no json")
UNREADABLE = "yesterday"


@dataclass(frozen=True)
class World:
    """Lines by (stream, landing day)."""

    lines: dict


@st.composite
def worlds(draw):
    """Five landing days of both streams with all that the contract calls normal, and lines that are broken."""
    lines = {(stream, day): [] for stream in ("impressions", "outcomes") for day in DAYS}
    events = []
    for number in range(draw(st.integers(3, 14))):
        event, channel = f"e{number}", draw(st.sampled_from(["ad", "push", "push", "mail"]))
        at = draw(st.integers(0, 3)) * 24 + draw(st.sampled_from([0, 1, 12, 23]))
        events.append((event, at))
        for late in draw(st.lists(st.integers(0, 2), min_size=1, max_size=3)):  # the same event sent again
            moved = draw(st.sampled_from([0, 0, 0, -1, 1]))  # days, by a clock that was set meanwhile
            ts = MIDNIGHT + timedelta(days=moved, hours=at, seconds=draw(st.integers(0, 2)))
            _land(lines, "impressions", at // 24 + late, _impression(event, channel, ts.isoformat()))
    outcomes = st.tuples(
        st.sampled_from([*events, ("unknown", 12)]),
        st.sampled_from(["click", "click", "conversion", "dismissal", "opened", ""]),
        st.sampled_from([-30, -1, 0, 1, 20, 24, 25, 47, 48, 49, 80]),  # hours after the impression
        st.integers(0, 4),  # days until it landed; before its own time it is a broken row
    )
    for (event, at), kind, after, landed in draw(st.lists(outcomes, min_size=5, max_size=30)):
        ts = MIDNIGHT + timedelta(hours=at + after, seconds=2 if after >= 0 else 0)
        row = {"event_id": event, "ts": ts.isoformat(), "kind": kind}
        _land(lines, "outcomes", max(0, (at + after) // 24) + draw(st.sampled_from([0, 0, landed])), row)
    for stream, day in draw(st.lists(st.sampled_from(sorted(lines)), max_size=4)):
        lines[stream, day].append(draw(st.sampled_from(BROKEN)))
        row = _impression("e0", "ad", UNREADABLE) | {"kind": "click"}
        lines[stream, day].append(json.dumps(row))
    for stream, day in lines:
        lines[stream, day] += [_filler(stream, day, number) for number in range(FILES)]
    return World(lines)


def write(world, landing, grouping, days=DAYS):
    """Write the lines of some days, in an order, in files and in formats that the number `grouping` says.

    Each file has a filler of its own, so that none is without a usable row and its columns; the first is always of JSON
    lines and takes those that are broken.
    """
    for (stream, day), lines in world.lines.items():
        random = Random(f"{grouping} {stream} {day}")  # noqa: S311 - no secret
        if day not in days:
            continue
        folder = landing / stream / f"dt={day}"
        folder.mkdir(parents=True, exist_ok=True)
        fillers = [_filler(stream, day, number) for number in range(FILES)]
        files = [[filler] for filler in fillers]
        files[0] += [line for line in lines if line in BROKEN]
        for line in lines:
            if line not in BROKEN and line not in fillers:
                random.choice(files).append(line)
        for number, chosen in enumerate(files):
            name = f"{random.randint(0, 99)}-{number}.{random.choice(FORMATS) if number else 'jsonl'}"
            (folder / name).write_bytes(_encoded(random.sample(chosen, len(chosen)), name))


def kept(world, recipe, stream, day):
    """The rows to keep of a stream and day, as dicts with real times, and the counts that go with them."""
    rows = [_usable(line, recipe, stream, day) for line in world.lines[stream, day]]
    best = {}
    for row in sorted((row for row in rows if row), key=lambda row: row["ts"]):
        best.setdefault(row["event_id"] if stream == "impressions" else (row["event_id"], row["kind"]), row)
    bad = rows.count(None)
    return list(best.values()), Counts(
        received=len(rows), kept=len(best), duplicates=len(rows) - bad - len(best), quarantined=bad
    )


def labels(world, recipe, event_day, as_of):
    """Event id → channel's label and each kind's, of an event day as of a day."""
    found = {}
    for event, row in _rows_of(world, recipe, event_day, as_of).items():
        channel, kinds = recipe.channels[row["channel"]], {}
        for kind in recipe.kinds:
            kinds[kind] = _label(world, recipe, row, kind, as_of) if kind in channel.windows_hours else None
        found[event] = (kinds[channel.positive_kind], kinds)
    return found


def _rows_of(world, recipe, event_day, as_of):
    """Event id → its row, where no landing before, from the first that may hold late events of the day, held it too."""
    found, seen = {}, set()
    for day in (day for day in DAYS if event_day - timedelta(days=LATE_DAYS) <= day <= as_of):
        rows = kept(world, recipe, "impressions", day)[0]
        found |= {r["event_id"]: r for r in rows if r["ts"].date() == event_day and r["event_id"] not in seen}
        seen |= {row["event_id"] for row in rows}
    return found


def reasons(world, recipe, landing_day, as_of):
    """Reason → how many of the outcomes that were kept of a landing day."""
    found = {}
    impressions = _impressions(world, recipe, as_of)
    for outcome in kept(world, recipe, "outcomes", landing_day)[0]:
        reason = _reason(world, recipe, outcome, landing_day, impressions)
        found[reason] = found.get(reason, 0) + 1
    return found


def _reason(world, recipe, outcome, landing_day, impressions):  # noqa: PLR0911 - a return a rule
    event, kind = outcome["event_id"], outcome["kind"]
    if kind not in recipe.kinds:
        return "kind_not_labelled"
    if any((event, kind) in _keys(world, recipe, day) for day in DAYS if day < landing_day):
        return "duplicate"
    if event not in impressions:
        return "unknown_impression"
    row, landed = impressions[event]
    windows = recipe.channels[row["channel"]].windows_hours
    if kind not in windows:
        return "kind_not_labelled"
    if outcome["ts"] < row["ts"]:
        return "before_impression"
    if outcome["ts"] > row["ts"] + timedelta(hours=windows[kind]):
        return "outside_window"
    if landing_day > _last_landing(recipe, row, kind):
        return "landed_too_late"
    return "before_impression_landed" if landed > landing_day else "attributed"


def _keys(world, recipe, day):
    return {(row["event_id"], row["kind"]) for row in kept(world, recipe, "outcomes", day)[0]}


def _impressions(world, recipe, as_of):
    """Event id → its row and landing day: the earliest landing wins."""
    found = {}
    for day in (day for day in DAYS if day <= as_of):
        for row in kept(world, recipe, "impressions", day)[0]:
            found.setdefault(row["event_id"], (row, day))
    return found


def _label(world, recipe, row, kind, as_of):
    """1 where the earliest outcome of those that landed in time lies within the window."""
    last = min(as_of, _last_landing(recipe, row, kind))
    times = [
        outcome["ts"]
        for day in DAYS
        if row["ts"].date() <= day <= last
        for outcome in kept(world, recipe, "outcomes", day)[0]
        if (outcome["event_id"], outcome["kind"]) == (row["event_id"], kind)
    ]
    hours = recipe.channels[row["channel"]].windows_hours[kind]
    return int(bool(times) and row["ts"] <= min(times) <= row["ts"] + timedelta(hours=hours))


def _last_landing(recipe, row, kind):
    days = ceil(recipe.channels[row["channel"]].windows_hours[kind] / 24) + recipe.landing.grace_days
    return row["ts"].date() + timedelta(days=days)


def _usable(line, recipe, stream, day):
    """The row with its time, None where it has to be quarantined."""
    try:
        row = json.loads(line)
        ts = datetime.fromisoformat(row["ts"])
    except (ValueError, TypeError, KeyError):
        return None
    if not row["event_id"] or ts.date() > day:
        return None
    if stream == "outcomes":
        return {**row, "ts": ts} if row["kind"] else None
    too_old = ts.date() < day - timedelta(days=LATE_DAYS)
    return None if too_old or row["channel"] not in recipe.channels else {**row, "ts": ts}


def _filler(stream, day, number):
    row = _impression(f"filler{number} of {day}", "ad", f"{day}T10:00:00")
    return json.dumps(row | {"kind": "click"} if stream == "outcomes" else row)


def _impression(event, channel, ts):
    return {"event_id": event, "ts": ts, "user_id": "u", "channel": channel, "campaign_id": "c"}


def _encoded(lines, name):
    if name.endswith(".jsonl"):
        return "".join(f"{line}\n" for line in lines).encode()
    rows = [json.loads(line) for line in lines]
    return encoded(rows, name)


def _land(lines, stream, landed, row):
    if landed < len(DAYS):
        lines[stream, DAYS[landed]].append(json.dumps(row))
