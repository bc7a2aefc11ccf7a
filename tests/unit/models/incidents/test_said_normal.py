"""Rules of what somebody said is the normal state: the newest word counts, of one fault, and its days train again."""

import pytest

from ctr_retrain.models.incidents.follow_incidents import IncidentRules, add_look
from ctr_retrain.models.incidents.incident import Handled
from ctr_retrain.models.incidents.said_normal import entry_about, normal_days, said_to_be_normal
from tests.support.nights import NOTHING, look, night, signal

RATIO = ("ratio_changed", "ad")


def said(number=2, *, normal=True, what="acknowledged", **changes):
    """An answer to an incident that was last seen in a night."""
    given = {"kind": "ratio_changed", "subject": "ad", "by": "eva", "reason": "meant", "at": "", **changes}
    return Handled(what=what, day=night(number), new_normal=normal, **given)


def test_a_plain_acknowledgement_and_a_silence_teach_nothing():
    assert said_to_be_normal([said(normal=False), said(what="silenced", normal=False, until=night(9))]) == ()


@pytest.mark.parametrize(
    ("entries", "left"),
    [
        ([said(), said(normal=False)], []),
        ([said(normal=False), said()], [2]),
        ([said(), said(5, normal=False)], [2]),
        ([said(), said(normal=False, subject="push")], [2]),
    ],
    ids=["taken back", "said after all", "another time", "another subject"],
)
def test_the_newest_word_on_an_incident_counts_until_a_run_has_followed_it(entries, left):
    assert [(one.day - night(0)).days for one in said_to_be_normal(entries)] == left


def test_an_entry_is_about_a_fault_of_its_series_that_began_by_its_day_and_from_the_day_after_on():
    assert entry_about([said(2)], RATIO, night(2), night(3)) == said(2)
    assert entry_about([said(2, kind="slide")], RATIO, night(0), night(9))  # its name once more was known
    assert entry_about([said(2)], RATIO, night(3), night(4)) is None
    assert entry_about([said(2)], RATIO, night(0), night(2)) is None
    assert entry_about([said(2)], ("volume_changed", "ad"), night(0), night(9)) is None
    assert entry_about([said(2)], ("ratio_changed", "push"), night(0), night(9)) is None


def test_a_device_is_meant_in_every_channel_and_a_campaign_in_its_own():
    about = [said(2, kind="logger_down", subject="ad device=android")]
    push = ("logger_down", "push device=android")
    assert entry_about(about, push, night(1), night(3), elsewhere=" device=android")
    assert entry_about(about, push, night(1), night(3)) is None
    assert entry_about(about, ("logger_down", "push device=ios"), night(1), night(3), elsewhere=" device=ios") is None


def test_only_the_days_by_the_one_that_it_was_said_of_are_normal():
    looks = [look(0, signal(number=0)), look(1, signal(number=0)), look(3), look(6, signal(number=5))]
    known = NOTHING
    for each in looks:
        known = add_look(known, each, IncidentRules())
    days = [night(number) for number in range(9)]
    (incident,) = known.incidents
    assert normal_days([said(1)], incident, days) == {night(0), night(1)}
    assert normal_days([said(6)], incident, days) == {night(5), night(6)}
    assert normal_days([said(3)], incident, days) == set()
    assert normal_days([said(6, kind="slide")], incident, days) == set()
