"""Rules of two that come to the same at once: it is no conflict, and another outcome is one."""

from types import SimpleNamespace

import pytest

from ctr_retrain.models.documents.ref_documents import AcceptedRef, DayDecision, RunsRef
from ctr_retrain.models.errors import BusyError, UsageError
from ctr_retrain.tasks.operate.registry import claim_root, record_run, served_recipe
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.protocol import load_ref
from ctr_retrain.tasks.validate.validate_day import _decide

RUN = "2026-03-02-ab"


class _Overtaken(LocalStore):
    """Where another swaps each ref right before, to the same value but for some keys."""

    def __init__(self, root, **others):
        super().__init__(root)
        self._others = others

    def swap_ref(self, name, value, expected, **more):
        super().swap_ref(name, {**value, **self._others}, expected, **more)
        return super().swap_ref(name, value, expected, **more)


def decide(store, day, now, *, accepted=True):
    made = {"day_object": "days/d/1", "validation": "validations/d/1"}
    decision = DayDecision(accepted=accepted, by="validation", reason="all expectations met", **made)
    _decide(store, day, None, decision, now)


def test_two_that_claim_a_new_root_for_one_recipe_both_have_it(tmp_path):
    store = _Overtaken(tmp_path)
    claim_root(store, "demo")
    assert served_recipe(store) == "demo"
    with pytest.raises(UsageError, match="expected recipe name 'demo'"):
        claim_root(store, "other")


def test_of_two_recipes_that_claim_a_new_root_one_is_refused(tmp_path):
    with pytest.raises(BusyError):
        claim_root(_Overtaken(tmp_path, current="other"), "demo")


def test_two_that_record_one_run_have_recorded_it_once(tmp_path, day):
    store = _Overtaken(tmp_path)
    record_run(store, SimpleNamespace(day=day, run_id=RUN))
    assert load_ref(store, layout.run_ref(day), RunsRef).content.history == (RUN,)
    with pytest.raises(BusyError):
        record_run(_Overtaken(tmp_path, current="2026-03-02-cd"), SimpleNamespace(day=day, run_id="2026-03-02-ef"))


def test_two_that_judge_a_day_alike_agree_and_otherwise_the_later_one_looks_again(tmp_path, day, now):
    store = _Overtaken(tmp_path / "alike")
    decide(store, day, now)
    assert load_ref(store, layout.accepted_ref(day), AcceptedRef).content.accepted
    with pytest.raises(BusyError):
        decide(_Overtaken(tmp_path / "otherwise", accepted=False), day, now)
