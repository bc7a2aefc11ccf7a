"""Rules of what people are told of missing outcomes: late until their deadline, lost after it, one sentence each."""

from datetime import date, timedelta

from ctr_retrain.models.data.late_outcomes import late_signals
from ctr_retrain.models.documents.maturity_documents import IncompleteDay
from ctr_retrain.models.incidents.follow_incidents import IncidentRules, first_touched, follow, touched_days
from ctr_retrain.models.incidents.incident import Look

DAY = date(2026, 3, 30)


def incomplete(days=0, *, overdue=False, channels=("ad", "push")):
    return IncompleteDay(
        day=DAY + timedelta(days=days), channels=channels, kinds=("click",), expected=400.0, received=200, z=-6.0,
        due=DAY + timedelta(days=days + 1), overdue=overdue, message=f"of {DAY + timedelta(days=days)}",
    )  # fmt: skip


def test_late_and_lost_days_are_two_signals_that_say_which_days_and_what_to_type():
    days = [incomplete(overdue=True), incomplete(1, overdue=True), incomplete(5)]
    late, lost = late_signals(days, ("ad", "push"))
    assert (late.kind, late.level, late.subject, late.since, late.size) == (
        "outcomes_late", "warning", "", DAY + timedelta(days=5), 1.0,
    )  # fmt: skip
    assert late.summary == "Outcomes of 2026-04-04 are late; about 50 % of those expected have not landed."
    assert any("by the end of 2026-04-05" in detail for detail in late.details)
    assert (lost.kind, lost.level, lost.size) == ("outcomes_lost", "critical", 2.0)
    assert lost.summary.startswith("Outcomes of 2 days from 2026-03-30 to 2026-03-31 are lost")
    assert lost.commands == ("ctr-retrain ingest --date 2026-03-30", "ctr-retrain ingest --date 2026-03-31")
    assert late_signals([], ("ad", "push")) == ()


def test_a_channels_own_files_are_told_by_its_name():
    (late,) = late_signals([incomplete(channels=("push",))], ("ad", "push"))
    assert late.subject == "push"
    assert "of push are late" in late.summary


def test_lost_outcomes_touch_their_own_days_alone_however_long_they_are_told():
    known = ()
    for night in range(4):
        look = Look(
            day=DAY + timedelta(days=night + 2), at="2026-04-02T04:00:00", looked_at=("outcomes_lost",),
            signals=late_signals([incomplete(overdue=True), incomplete(1, overdue=True)], ("ad", "push")),
        )  # fmt: skip
        known = follow(known, look, IncidentRules())
    (incident,) = known
    assert touched_days(incident, [DAY + timedelta(days=days) for days in range(-1, 9)]) == [DAY, DAY + timedelta(1)]
    assert first_touched(incident) == DAY
