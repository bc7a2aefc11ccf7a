"""Nights that notice things, for tests of incidents and messages."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from ctr_retrain.models.incidents.incident import IncidentsRef, Look
from ctr_retrain.models.incidents.signal import Signal
from ctr_retrain.models.incidents.tell_changes import Letterhead

FIRST = date(2026, 3, 2)
KINDS = ("ratio_changed", "disk_low", "day_rejected")
NOTHING = IncidentsRef(incidents=())
HEAD = Letterhead("demo", FIRST, "root/index.html", "docs/runbook.md")


def night(number):
    """The day of a night, counted from 0."""
    return FIRST + timedelta(days=number)


def signal(kind="ratio_changed", subject="ad", number=0, **changes):
    """A signal of a night."""
    given = {"level": "warning", "since": night(number), "summary": f"{kind} of {subject} in night {number}."}
    return Signal(**{"kind": kind, "subject": subject, **given, **changes})


def look(number, *signals, looked_at=KINDS, hour=4):
    """A night's look, at some hour of the day after it."""
    at = datetime(2026, 3, 3, hour, tzinfo=UTC) + timedelta(days=number)
    return Look(day=night(number), at=at.isoformat(), looked_at=looked_at, signals=signals)


@st.composite
def looks(draw, nights=10):
    """The looks of some nights in a row, of which each looked at some kinds and found some of their causes."""
    made = []
    for number in range(draw(st.integers(1, nights))):
        looked_at = draw(st.sets(st.sampled_from(KINDS)))
        causes = draw(st.sets(st.tuples(st.sampled_from(KINDS), st.sampled_from(["ad", "push"])), max_size=4))
        found = [
            signal(
                kind,
                subject,
                number,
                level=draw(st.sampled_from(["notice", "warning", "critical"])),
                size=draw(st.sampled_from([None, 0.2, 0.3, 0.9])),
                touches=tuple(draw(st.sets(st.sampled_from(["android", "ios"])))),
                new_normal=draw(st.sampled_from([False, False, False, True])),
            )
            for kind, subject in sorted(causes)
            if kind in looked_at
        ]
        made.append(look(number, *found, looked_at=tuple(sorted(looked_at))))
    return made
