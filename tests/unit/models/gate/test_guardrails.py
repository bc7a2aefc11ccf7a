"""Rules of guardrails: other kinds of outcomes on what each model would send, added up over nights."""

from dataclasses import replace

import numpy as np
import pytest

from ctr_retrain.models.gate.guardrails import FEWEST, KindOfRows, guarded_sums, judge_guardrails
from ctr_retrain.models.judging.judged_rows import JudgedRows, compared_cells
from ctr_retrain.models.recipe.channel_section import Cost
from ctr_retrain.models.recipe.gate_section import Gate
from tests.benchmarks.guardrail_plants import BAITS, judge_trial

COSTS = {"ad": Cost(true_positive=-0.98, false_positive=0.02)}
ROWS = 4000
NUMBER = np.arange(ROWS)


def gate(**guardrails):
    return Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1, guardrails=guardrails)


def night(outcome, head=None, day=0, ours=NUMBER % 4 < 2, theirs=NUMBER % 4 == 0, kind="unsubscribe"):
    """Cells of a night: the challenger sends every other row, the champion half of these, unless said otherwise."""
    label, users, campaigns = np.zeros(ROWS, int), NUMBER * 7919 % 256, NUMBER // 7 % 40
    ours, theirs = (np.where(sent, 0.5, 0.001) for sent in (ours, theirs))
    rows = JudgedRows(label, ours, theirs, np.full(ROWS, "ad"), users, campaigns, np.full(ROWS, day))
    sums = guarded_sums(rows, {kind: KindOfRows(outcome, head)}, COSTS)
    return compared_cells(replace(rows, sums=sums), COSTS)


def of_each(share):
    """Outcomes on the same share of the rows, of any users and campaigns."""
    return (np.random.default_rng(2).permutation(ROWS) < share * ROWS).astype(float)


TENTH = of_each(0.1)
OURS, THEIRS = (int(TENTH[sent].sum()) for sent in (NUMBER % 4 < 2, NUMBER % 4 == 0))


def test_outcomes_are_counted_on_what_each_model_would_send():
    part, (check,) = judge_guardrails([night(TENTH)], gate(unsubscribe=0.05))
    (kind,) = part.kinds
    assert (kind.ours, kind.theirs, kind.measure, kind.nights) == (OURS, THEIRS, "outcomes", 1)
    assert kind.ratio.value == check.value == pytest.approx(OURS / THEIRS)
    assert (check.name, check.bound, check.kind) == ("guardrail.unsubscribe", 1.05, "harm")
    assert f"at most 5 % more than the champion's, received {OURS / THEIRS:.2f} times as many" in check.message
    assert f"{OURS} against {THEIRS}" in check.message


@pytest.mark.parametrize(("bound", "passed"), [(0.05, False), (2.0, True)])
def test_many_more_than_the_bound_reject_and_what_is_within_it_does_not(bound, passed):
    nights = [night(TENTH, day=day) for day in range(3)]
    _, (check,) = judge_guardrails(nights, gate(unsubscribe=bound))
    assert (check.passed, check.settled) == (passed, True)
    assert f"{3 * OURS} against {3 * THEIRS} over 3 nights" in check.message


def test_evidence_adds_up_over_nights_and_one_alone_may_be_too_little():
    rng = np.random.default_rng(4)
    nights = [night((rng.random(ROWS) < 0.03).astype(float), day=day, theirs=NUMBER % 8 < 2) for day in range(12)]
    passed = [judge_guardrails(nights[:count], gate(unsubscribe=0.05))[1][0].passed for count in (1, 12)]
    assert passed == [True, False]
    _, (first,) = judge_guardrails(nights[:1], gate(unsubscribe=0.05))
    assert not first.settled  # nor is one night a proof that it is harmless


def test_few_outcomes_say_nothing():
    outcome = np.where(np.cumsum(NUMBER % 4 == 1) <= FEWEST - 1, NUMBER % 4 == 1, 0).astype(float)
    _, (check,) = judge_guardrails([night(outcome)], gate(unsubscribe=0))
    assert (check.passed, check.settled) == (True, False)
    assert "received too few to tell" in check.message
    _, checks = judge_guardrails([night(TENTH)], gate(unsubscribe=2, refund=0))
    assert [(one.name, one.passed) for one in checks] == [("guardrail.unsubscribe", True), ("guardrail.refund", True)]
    assert "received too few to tell" in checks[1].message


def test_a_head_tells_of_outcomes_that_are_not_final_yet():
    unknown, head = np.full(ROWS, np.nan), np.full(ROWS, 0.2)
    part, (check,) = judge_guardrails([night(unknown, head, day=day) for day in range(3)], gate(unsubscribe=0.05))
    assert {one.measure: one.ours for one in part.kinds} == {"outcomes": 0, "head": pytest.approx(1200)}
    assert not check.passed
    assert "as the models' heads predict them" in check.message


def test_a_head_cannot_veto_against_the_outcomes_that_were_seen():
    """The head thinks that what only the challenger sends annoys; those who were sent it didn't mind."""
    head, seen = np.where(NUMBER % 4 == 1, 0.5, 0.1), np.where(NUMBER % 4 == 0, TENTH, 0.0)
    nights = [night(seen, head, day=day) for day in range(3)]
    part, (check,) = judge_guardrails(nights, gate(unsubscribe=0.05))
    assert [one.exceeded for one in part.kinds] == [False, True]
    assert check.passed


def test_nights_before_a_guardrail_are_left_out_and_without_a_champion_there_is_none():
    earlier, tonight = night(TENTH, kind="refund"), night(TENTH, day=1)
    (kind,) = judge_guardrails([earlier, tonight], gate(unsubscribe=0.05))[0].kinds
    assert kind.nights == 1
    rows = JudgedRows(*(np.zeros(3) for _ in range(2)), None, np.full(3, "ad"), *(np.zeros(3, int) for _ in range(3)))
    assert guarded_sums(rows, {"unsubscribe": KindOfRows(np.ones(3))}, COSTS) == {}


def test_clickbait_is_rejected_once_2000_unsubscribes_are_pooled_and_a_sound_model_is_not():
    harmful, sound, _ = BAITS
    rejected, ratio, clicks, _ = judge_trial(harmful, 0, each_night=False)
    assert rejected
    assert (ratio, clicks) == (pytest.approx(1.2, abs=0.05), pytest.approx(1.05, abs=0.03))
    assert not judge_trial(sound, 0, each_night=True)[0]
