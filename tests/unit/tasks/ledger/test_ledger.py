"""Rules of the ledger in the root: what nights enter, what counts for whom, and what it outlives."""

from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.judging.changed_decisions import ChangedDecisions
from ctr_retrain.models.judging.judged_rows import COST_DELTA, champion_over, over
from ctr_retrain.models.ledger.ledger_documents import LedgerNight, LedgerNightDocument, LedgerRef, PastFigure
from ctr_retrain.models.ledger.pooled_nights import Night
from ctr_retrain.tasks.ledger.night_cells import changed_rows, read_cells, write_cells
from ctr_retrain.tasks.ledger.read_ledger import evidence_for, load_ledger, prices_of
from ctr_retrain.tasks.ledger.write_ledger import add_night, enter_night
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.store import layout
from tests.support.gate_years import chain_night

DAY = date(2026, 3, 10)
OURS, THEIRS = "ours", "theirs"


def night_cells(days_ago, value=0.0):
    rng = np.random.default_rng(days_ago)
    return chain_night(rng, (DAY - timedelta(days=days_ago + 3)).toordinal(), 0.3, (value, 0.0, 0.1))


@pytest.fixture
def recipe(tiny_recipe):
    return tiny_recipe()


@pytest.fixture
def entered(store, recipe):
    """Enter a night of some days ago as a run's end does; answers the run's name."""

    def enter(days_ago, value=0.0, run_id=None, night=None, **more):
        day = DAY - timedelta(days=days_ago)
        run_id = run_id or f"{day}-0000"
        night = night or night_cells(days_ago, value)
        document = {
            "day": day,
            "run_id": run_id,
            "question": "refresh",
            "challenger": OURS,
            "champion": OURS,
            "champion_version": "champion",
            "earlier": {"anchor": "anchor"},
            "prices": prices_of(recipe),
            "validation": (day - timedelta(days=3),),
            "figures": {COST_DELTA: PastFigure(estimate=value, standard_error=0.1)},
            "changed": changed_rows(night),
        } | more
        with store.writing(layout.run_object(run_id), {"labels": [], "champion": "champion"}) as folder:
            write_cells(night.cells, folder / layout.CELLS_FILE)
            LedgerNightDocument(**document).write(folder / layout.LEDGER_NIGHT_FILE)
        enter_night(store, run_id)
        return run_id

    return enter


@pytest.fixture
def evidence(store, recipe):
    """The evidence for a run of DAY, or of another day."""

    def read(question="refresh", champion=OURS, scored=("anchor",), day=DAY):
        tenure = Tenure(
            version="champion", run_day=DAY - timedelta(days=20), data_through=DAY, action="promote", reason="", at=""
        )
        earlier = {role: tenure.model_copy(update={"version": role}) for role in ("anchor", "predecessor")}
        plan = SimpleNamespace(day=day, training_digest=OURS, champion=tenure, earlier=earlier)
        return evidence_for(SimpleNamespace(store=store, recipe=recipe, plan=plan), question, champion, scored)

    return read


def test_cells_come_back_as_they_were_written(tmp_path):
    night = night_cells(1, 0.7)
    write_cells(night.cells, tmp_path / "cells.parquet")
    again = read_cells(tmp_path / "cells.parquet")
    assert again.names == night.cells.names
    for name in ("user_bucket", "campaign", "day", "sums"):
        assert np.array_equal(getattr(again, name), getattr(night.cells, name))


def test_nights_add_up_in_the_order_of_their_days(entered, evidence):
    for days_ago in (1, 3, 2):
        entered(days_ago, value=days_ago)
    found = evidence()
    assert [sum(night.cells.sums[:, 1]) for night in found.nights] == pytest.approx([3, 2, 1], abs=1.5)
    assert found.champion_days == 20
    assert found.earlier == {"anchor": "anchor"}


def test_a_run_of_a_past_day_sees_what_was_known_then(entered, evidence):
    for days_ago in (0, 1, 2):
        entered(days_ago)
    assert len(evidence(day=DAY - timedelta(days=1)).nights) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"challenger": THEIRS},
        {"champion_version": "another"},
        {"question": "change"},
        {"prices": "of another day"},
    ],
)
def test_nights_that_asked_something_else_add_nothing_to_a_refresh(entered, evidence, other):
    entered(1, **other)
    assert not evidence().nights


def test_a_change_is_measured_by_whatever_its_opponents_training_made(entered, evidence):
    entered(1, question="change", champion=THEIRS)
    entered(2, question="change", champion=THEIRS, champion_version="before")
    entered(3, question="change", champion="a third one's")
    assert len(evidence("change", THEIRS).nights) == 2


def test_sums_against_another_anchor_are_left_out_and_the_rest_counts(entered, evidence):
    entered(1, earlier={"anchor": "older"})
    (night,) = evidence().nights
    assert over("anchor") not in night.cells.names
    assert champion_over("anchor") not in night.cells.names
    assert COST_DELTA in night.cells.names


def stepped(estimate, version, predecessor, **more):
    """What the night of a champion says of the step that it took."""
    figures = {"champion_over_predecessor": PastFigure(estimate=estimate, standard_error=0.1)}
    earlier = {"anchor": "anchor", "predecessor": predecessor}
    return {"champion_version": version, "earlier": earlier, "figures": figures} | more


def test_the_steps_of_earlier_refreshes_are_told_and_those_since_the_anchor(entered, evidence):
    entered(9, **stepped(0.4, "old", "older"))
    entered(8, **stepped(0.1, "second", "anchor"))
    entered(7, **stepped(0.3, "predecessor", "second"))
    entered(6, **stepped(0.2, "predecessor", "second"))  # better known by its second night
    entered(5, **stepped(0.9, "champion", "predecessor"))  # weighed anew tonight
    found = evidence()
    assert [step.estimate for step in found.steps] == [0.4, 0.1, 0.2]
    assert [step.estimate for step in found.chain] == [0.2, 0.1]


@pytest.mark.parametrize(
    "other",
    [
        {"champion": THEIRS},
        {"prices": "of another day"},
        {"earlier": {"predecessor": "anchor"}},  # a change that was shown to be better: its own anchor
        {"figures": {}},
    ],
)
def test_a_step_of_another_recipe_or_price_and_one_that_is_not_known_leave_the_chain_open(entered, evidence, other):
    entered(7, **(stepped(0.2, "predecessor", "anchor") | other))
    found = evidence()
    assert not found.steps
    assert found.chain is None


def test_a_chain_that_bites_its_tail_ends(entered, evidence):
    entered(7, **stepped(0.2, "predecessor", "second"))
    entered(6, **stepped(0.2, "second", "predecessor"))
    assert evidence().chain is None


def test_each_validation_day_counts_once(entered, evidence):
    night = night_cells(2)
    entered(2, night=night)
    entered(1, night=night)
    assert len(evidence().nights) == 1


def test_a_second_run_of_a_day_takes_the_place_of_the_first(entered, store):
    entered(1)
    again = entered(1, run_id="2026-03-09-1111")
    assert [night.run_id for night in load_ledger(store).nights] == [again]


def test_entering_twice_changes_nothing(entered, store):
    run_id = entered(1)
    before = store.read_ref(layout.LEDGER_REF)
    enter_night(store, run_id)
    assert store.read_ref(layout.LEDGER_REF).version == before.version


def test_a_run_that_judged_nothing_adds_nothing(store):
    with store.writing(layout.run_object("held"), {}) as folder:
        (folder / "run.json").write_text("{}")
    enter_night(store, "held")
    assert store.read_ref(layout.LEDGER_REF) is None


def test_evidence_outlives_its_run(entered, evidence, store, recipe):
    run_id = entered(1)
    collect_garbage(store, recipe, min_age=timedelta())
    store.remove([layout.run_object(run_id)])
    assert len(evidence().nights) == 1
    collect_garbage(store, recipe, min_age=timedelta())
    assert len(evidence().nights) == 1


def test_a_night_whose_cells_are_gone_is_less_evidence_and_no_failure(entered, evidence, store):
    entered(2)
    run_id = entered(1)
    store.remove([layout.ledger_object(run_id)])
    assert len(evidence().nights) == 1


def test_rows_that_were_decided_differently_come_back_with_their_days(entered, evidence):
    day = (DAY - timedelta(days=4)).toordinal()
    counts = ChangedDecisions(5, 1, -1.0, 0.02)
    entered(1, night=Night(night_cells(1).cells, {COST_DELTA: [(day, counts), (day, ChangedDecisions(0, 0, 1, 1))]}))
    (night,) = evidence().nights
    assert night.changed == {COST_DELTA: [(day, counts)]}


def test_a_change_keeps_its_share_of_the_years_error_and_the_next_one_gets_less(entered, evidence, store):
    assert evidence("change", THEIRS).error == pytest.approx(0.05 / 2)
    entered(5, question="change", champion=THEIRS)
    entered(4, question="change", champion="a third one's")
    assert evidence("change", THEIRS).error == pytest.approx(0.05 / 2)
    assert evidence("change", "a third one's").error == pytest.approx(0.05 / 6)
    assert evidence("change", "a fourth one's").change == 3
    assert [change.opened for change in load_ledger(store).changes] == [
        DAY - timedelta(days=5),
        DAY - timedelta(days=4),
    ]


def test_nights_are_forgotten_after_a_year():
    def at(day):
        figures = {COST_DELTA: PastFigure(estimate=0, standard_error=1)}
        return LedgerNight(
            day=day,
            run_id=f"{day}-0",
            question="refresh",
            challenger=OURS,
            champion=OURS,
            champion_version="c",
            earlier={},
            prices="",
            validation=(day,),
            figures=figures,
            changed={},
        )

    ledger = LedgerRef(nights=(), changes=())
    for days in (0, 100, 365):
        ledger = add_night(ledger, at(DAY + timedelta(days=days)))
    assert [night.day for night in ledger.nights] == [DAY + timedelta(days=100), DAY + timedelta(days=365)]


def test_how_days_differ_is_told_by_nights_enough(entered, evidence):
    for days_ago in range(1, 12):
        entered(days_ago, value=(-1) ** days_ago)
    assert evidence().days[COST_DELTA].value == pytest.approx(1.1, rel=0.1)


def test_an_anchor_that_can_not_be_scored_is_replaced_aloud(evidence):
    assert evidence(scored=()).message == (
        "The anchor anchor can't be scored any more: tonight the champion takes its place."
    )
