"""Rules of what people are told: each change once, whatever died in between, and nothing that is silenced."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.incidents.follow_incidents import IncidentRules, add_look
from ctr_retrain.models.incidents.incident import LEVELS, Handled
from ctr_retrain.models.incidents.tell_changes import tell_changes
from tests.support.counts import draws
from tests.support.nights import HEAD, NOTHING, look, looks, night, signal

RULES = IncidentRules()
AT = "2026-03-08T05:00:00+00:00"


def told(*nights, handled=(), dying=()):
    """The messages of nights in their order; after those in `dying` the run died before it told anybody."""
    known, knew, messages = NOTHING.model_copy(update={"handled": handled}), (), []
    for number, one in enumerate(nights):
        known = add_look(known, one, RULES)
        if number not in dying:
            new, knew = tell_changes(known, knew, one.day, HEAD)
            messages += new
    return messages


def names(messages):
    return [(message.change, message.subject) for message in messages]


def said(what, number, subject="ad", until=None, *, normal=False):
    given = {"kind": "ratio_changed", "subject": subject, "by": "eva", "reason": "planned", "at": AT}
    return Handled(what=what, day=night(number), until=until, new_normal=normal, **given)


def test_each_change_is_told_once_and_nothing_while_nothing_changes():
    nights = [look(n, signal(number=n, size=size)) for n, size in enumerate([1, 1, 1, 2, 2])]
    assert names(told(*nights, look(5), look(6), look(7, signal(number=7)))) == [
        *[("opened", "ad"), ("worse", "ad"), ("resolved", "ad"), ("reopened", "ad")]
    ]


def test_a_cause_that_is_known_later_is_told_as_the_same_incident():
    named = signal(kind="disk_low", subject="ad device=android", instead_of=("ratio_changed", "ad"))
    messages = told(look(0, signal()), look(1, named), look(2, named), look(3))
    assert names(messages) == [("opened", "ad"), ("named", "ad device=android"), ("resolved", "ad device=android")]
    assert len({message.incident for message in messages}) == 1


def test_a_notice_is_told_nobody_until_it_becomes_a_warning():
    notice, warning = (look(n, signal(level=level)) for n, level in enumerate(["notice", "warning"]))
    assert told(notice, look(1)) == []
    assert names(told(notice, warning, look(2))) == [("opened", "ad"), ("resolved", "ad")]


def test_what_is_silenced_is_not_told_before_the_day_and_then_if_it_is_still_there():
    nights = [look(n, signal(number=n)) for n in range(4)]
    (message,) = told(*nights, handled=(said("silenced", 0, until=night(2)),))
    assert (message.change, message.date, message.since) == ("opened", night(2), night(0))
    assert told(*nights[:2], look(2), handled=(said("silenced", 0, until=night(5)),)) == []


def test_a_silence_of_a_kind_holds_for_all_its_subjects_and_the_newest_word_counts():
    nights = [look(0, signal(), signal(subject="push"))]
    all_of_it, ended = said("silenced", 0, None, night(9)), said("silenced", 0, None, night(0))
    assert told(*nights, handled=(all_of_it,)) == []
    assert len(told(*nights, handled=(all_of_it, ended))) == 2


def test_of_what_is_acknowledged_only_a_higher_level_and_the_end_are_told():
    found = [signal(size=1), signal(size=9), signal(size=9, level="critical")]
    nights = [*(look(n, one) for n, one in enumerate(found)), look(3)]
    known, knew = add_look(NOTHING, nights[0], RULES), ()
    _, knew = tell_changes(known, knew, night(0), HEAD)
    known = known.model_copy(update={"handled": (said("acknowledged", 0),)})
    changes = []
    for one in nights[1:]:
        known = add_look(known, one, RULES)
        messages, knew = tell_changes(known, knew, one.day, HEAD)
        changes.append([message.change for message in messages])
    assert changes == [[], ["worse"], ["resolved"]]


def test_what_comes_on_top_of_what_was_said_to_be_normal_is_told_and_its_end_too():
    normal = signal(number=2, level="notice", new_normal=True)
    word = (said("acknowledged", 1, normal=True),)
    nights = [look(0, signal(size=1)), look(1, signal(size=9))]
    assert names(told(*nights, look(2, normal), handled=word)) == [("opened", "ad"), ("resolved", "ad")]
    top = look(2, normal, signal(number=2, size=1))
    assert names(told(*nights, top, look(3), handled=word)) == [("opened", "ad"), ("worse", "ad"), ("resolved", "ad")]


def test_what_comes_back_is_no_longer_acknowledged():
    nights = [look(0, signal()), look(1), look(2, signal(size=1, number=2)), look(3, signal(size=2, number=3))]
    assert names(told(*nights, handled=(said("acknowledged", 0),)))[-2:] == [("reopened", "ad"), ("worse", "ad")]


@given(looks(), st.data())
@settings(max_examples=draws(20, 2000))
def test_in_order_there_is_one_message_for_each_change_that_people_are_to_know(nights, data):
    messages = told(*nights)
    assert len({message.id for message in messages}) == len(messages)
    again = told(*(one for night_look in nights for one in [night_look] * data.draw(st.integers(1, 2))))
    assert [message.id for message in again] == [message.id for message in messages]
    assert all(message.level != "notice" for message in messages)


@given(looks(), st.data())
@settings(max_examples=draws(20, 2000))
def test_after_any_deaths_and_in_any_order_people_know_what_is_open_in_the_end(nights, data):
    shuffled = data.draw(st.permutations(nights))
    dying = data.draw(st.sets(st.integers(0, len(nights) - 2))) if len(nights) > 1 else set()
    messages = told(*shuffled, dying=dying)
    assert len({message.id for message in messages}) == len(messages)
    known = NOTHING
    for one in nights:
        known = add_look(known, one, RULES)
    last = {message.kind + message.subject: message.change for message in messages}
    for incident in known.open:
        if LEVELS.index(incident.level) > 0:
            assert last[incident.kind + incident.subject] != "resolved"
    loud = {incident.kind + incident.subject for incident in known.open}
    assert all(change == "resolved" for cause, change in last.items() if cause not in loud)
