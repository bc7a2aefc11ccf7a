"""Rules of an incident's life: opened, named, worse, wider, resolved and reopened, whatever the order of nights."""

from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.incidents.follow_incidents import (
    KEPT_DAYS,
    MOST_CHANGES,
    MOST_LOOKS,
    MOST_PAST,
    IncidentRules,
    add_look,
    first_touched,
    touched_days,
)
from tests.support.counts import draws
from tests.support.nights import NOTHING, look, looks, night, signal

RULES = IncidentRules()


def after(*given, known=NOTHING, rules=RULES):
    """The incidents after some looks."""
    return reduce(lambda before, one: add_look(before, one, rules), given, known)


def changes(known):
    """The changes of the only incident, each with its night."""
    (incident,) = known.incidents
    return [(change.what, (change.day - night(0)).days) for change in incident.changes]


def test_a_cause_that_lasts_is_one_incident_that_opens_once_and_ends_once():
    known = after(*(look(n, signal(number=n)) for n in range(5)), look(5))
    assert changes(known) == [("opened", 0), ("resolved", 5)]
    (incident,) = known.incidents
    assert (incident.since, incident.opened, incident.last_seen, incident.resolved) == (
        *[night(0)] * 2,
        night(4),
        night(5),
    )


def test_causes_are_kind_and_subject():
    found = (signal(subject="ad"), signal(subject="push"), signal(kind="disk_low", subject="ad"))
    known = after(look(0, *found))
    assert len({incident.id for incident in known.incidents}) == 3


@pytest.mark.parametrize(
    ("sizes", "worse"), [([0.4, 0.5], []), ([0.4, 0.51], [1]), ([0.4, 0.48, 0.56, 0.3, 0.65], [2])]
)
def test_an_incident_is_worse_when_its_size_has_grown_by_the_share_since_its_last_change(sizes, worse):
    known = after(*(look(n, signal(number=n, size=size)) for n, size in enumerate(sizes)))
    assert changes(known) == [("opened", 0), *(("worse", n) for n in worse)]


def test_the_share_is_the_recipe_s():
    known = after(look(0, signal(size=1)), look(1, signal(size=1.06)), rules=IncidentRules(worse_by=0.05))
    assert changes(known) == [("opened", 0), ("worse", 1)]


def test_a_higher_level_is_worse_and_a_lower_one_no_news():
    levels = ["warning", "critical", "warning", "critical"]
    known = after(*(look(n, signal(number=n, level=level)) for n, level in enumerate(levels)))
    assert changes(known) == [("opened", 0), ("worse", 1)]
    assert known.incidents[0].level == "critical"


def test_what_touches_more_is_wider_and_what_touches_something_else_too():
    touched = [("android",), ("ios",), ("android",), ("android", "ios")]
    known = after(*(look(n, signal(number=n, touches=one)) for n, one in enumerate(touched)))
    assert changes(known) == [("opened", 0), ("wider", 1)]
    assert known.incidents[0].touches == ("android", "ios")


ALL_DRIFT = ("ratio_changed", "logger_down")
OF_THE_CHANNEL = signal(kind="ratio_changed", subject="ad")
NAMED = signal(kind="logger_down", subject="ad device=android", instead_of=("ratio_changed", "ad"))


def test_a_cause_that_is_known_later_goes_on_as_the_same_incident():
    found = ((OF_THE_CHANNEL,), (NAMED,), (NAMED,), ())
    known = after(*(look(number, *signals, looked_at=ALL_DRIFT) for number, signals in enumerate(found)))
    assert changes(known) == [("opened", 0), ("named", 1), ("resolved", 3)]
    assert known.incidents[0].cause == ("logger_down", "ad device=android")


@pytest.mark.parametrize(
    ("nights", "still_open"),
    [
        (((OF_THE_CHANNEL,), (OF_THE_CHANNEL, NAMED)), {"ratio_changed", "logger_down"}),
        (((OF_THE_CHANNEL, NAMED), (NAMED,)), {"logger_down"}),
    ],
    ids=["what went before goes on", "the cause has an incident already"],
)
def test_a_cause_takes_no_incident_over_that_goes_on_and_none_beside_its_own(nights, still_open):
    known = after(*(look(number, *signals, looked_at=ALL_DRIFT) for number, signals in enumerate(nights)))
    assert len(known.incidents) == 2
    assert {one.kind for one in known.open} == still_open


def normal(number):
    """A signal by which what ad has shown is the normal state from a night on."""
    return signal(number=number, level="notice", new_normal=True, summary="It is the normal state.", details=("Hm.",))


def test_what_is_the_normal_state_from_a_day_on_is_over_on_that_day_in_its_own_words():
    known = after(look(0, signal(size=0.4)), look(1, normal(1)), look(2))
    assert changes(known) == [("opened", 0), ("resolved", 1)]
    (incident,) = known.incidents
    assert (incident.level, incident.last_seen, incident.new_normal) == ("warning", night(0), True)
    assert incident.changes[-1].summary == incident.summary == "It is the normal state."
    again = after(look(3, signal(number=3)), known=known)
    assert (again.open[0].new_normal, changes(again)[-1]) == (False, ("reopened", 3))


def test_what_is_the_normal_state_opens_nothing_and_what_comes_on_top_of_it_is_worse():
    assert after(look(0, normal(0))).incidents == ()
    worse = after(look(0, signal(size=0.4)), look(1, normal(1), signal(number=1, size=0.3)), look(2))
    assert changes(worse) == [("opened", 0), ("worse", 1), ("resolved", 2)]
    assert not worse.incidents[0].new_normal


def test_a_night_that_did_not_look_neither_ends_an_incident_nor_changes_it():
    opened = after(look(0, signal()))
    assert after(look(1, looked_at=("disk_low",)), known=opened).incidents == opened.incidents


def test_a_night_that_died_may_report_what_it_saw_without_ending_anything():
    known = after(look(0, signal()), look(1, signal(subject="push"), looked_at=()))
    assert [incident.is_open for incident in known.incidents] == [True, True]


def test_what_comes_back_in_time_is_reopened_and_later_a_new_one():
    soon = after(look(0, signal(size=5)), look(1), look(15, signal(number=15, size=1)))
    assert changes(soon) == [("opened", 0), ("resolved", 1), ("reopened", 15)]
    assert (soon.incidents[0].size, soon.incidents[0].since) == (1, night(15))
    late = after(look(0, signal()), look(1), look(16, signal(number=16)))
    assert [incident.is_open for incident in late.incidents] == [False, True]
    assert len({incident.id for incident in late.incidents}) == 2


def test_the_days_that_an_incident_touches_are_those_from_its_first_sign_to_the_night_that_found_it_no_more():
    known = after(look(1, signal(number=0)), look(3), look(5, signal(number=5)))
    days = [night(n) for n in range(8)]
    assert touched_days(known.incidents[0], days) == [night(n) for n in (0, 1, 2, 5, 6, 7)]
    assert first_touched(known.incidents[0]) == night(0)


def test_the_same_night_again_changes_nothing_and_another_finding_of_it_does():
    first = after(look(0, signal()))
    assert after(look(0, signal(), hour=9), known=first) is first
    mended = after(look(0, hour=10), known=first)
    assert changes(mended) == [("opened", 0), ("resolved", 0)]


def test_what_one_report_of_a_run_found_is_not_over_because_its_other_report_did_not():
    both = (look(0, signal(), looked_at=("ratio_changed",)), look(0, looked_at=("disk_low",)))
    assert after(*both).open == after(*both[::-1]).open != ()


@given(looks(), st.data())
@settings(max_examples=draws(20, 2000))
def test_the_order_of_nights_and_nights_run_twice_make_no_difference(nights, data):
    shuffled = data.draw(st.permutations([*nights, *data.draw(st.lists(st.sampled_from(nights), max_size=4))]))
    assert after(*shuffled).incidents == after(*nights).incidents


@given(looks(nights=8))
@settings(max_examples=draws(20, 2000))
def test_each_history_alternates_and_at_most_one_incident_of_a_cause_is_open(nights):
    known = after(*nights)
    for incident in known.incidents:
        ends = [change.what for change in incident.changes if change.what in ("opened", "reopened", "resolved")]
        assert ends[0] == "opened"
        assert all((one == "resolved") != (other == "resolved") for one, other in pairwise(ends))
        assert (ends[-1] == "resolved") == (not incident.is_open)
    causes = [incident.cause for incident in known.open]
    assert len(causes) == len(set(causes))


def test_years_of_nights_leave_a_bounded_history():
    known = NOTHING
    for number in range(0, 5 * (MOST_LOOKS // 2 + 5), 5):
        known = after(look(number, signal(number=number, size=1 + number)), look(number + 1), known=known)
    assert len(known.looks) == MOST_LOOKS
    (incident,) = known.incidents
    assert len(incident.changes) == MOST_CHANGES
    assert incident.changes[0].what == "opened"


def test_of_very_many_past_incidents_the_newest_are_kept():
    causes = [signal(subject=str(number)) for number in range(150)]
    later = [signal(subject=str(number), number=1) for number in range(150, MOST_PAST + 50)]
    known = after(look(0, *causes), look(1, *later))
    assert len(known.incidents) == MOST_PAST + 50  # of those that are open none is left out
    known = after(look(2), known=known)
    assert len(known.incidents) == MOST_PAST
    assert {one.subject for one in later} < {one.subject for one in known.incidents}


def test_what_has_been_over_for_a_year_is_forgotten():
    over = after(look(0, signal()), look(1), look(10, signal(subject="push", number=10)))
    known = after(look(KEPT_DAYS + 1, signal(subject="push", number=10)), known=over)
    assert len(known.incidents) == 2
    assert [one.subject for one in after(look(KEPT_DAYS + 2), known=known).incidents] == ["push"]


def test_a_look_older_than_those_that_are_kept_changes_nothing():
    known = after(*(look(n) for n in range(MOST_LOOKS + 1)))
    assert after(look(0, signal(), hour=9), known=known) is known


def test_what_was_open_before_the_oldest_kept_look_goes_on():
    last = MOST_LOOKS + 20
    known = after(look(0, signal()), *(look(n, looked_at=("disk_low",)) for n in range(1, last)))
    assert known.through > night(0)
    assert changes(known) == [("opened", 0)]
    assert changes(after(look(last), known=known)) == [("opened", 0), ("resolved", last)]


def test_who_looks_by_the_calendar_shuts_no_past_day_out():
    ahead = after(*(look(300 + n, looked_at=("disk_low",)) for n in range(5)))
    assert changes(after(look(0, signal()), known=ahead)) == [("opened", 0)]
