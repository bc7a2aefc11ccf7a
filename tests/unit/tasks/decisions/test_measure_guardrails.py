"""Rules of guarded kinds of a run: final outcomes only, heads where there are some, and each validation day once."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from ctr_retrain.models.documents.verdict_documents import GuardrailsDocument
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.ledger.night_of_rows import night_of
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.decisions.measure_guardrails import measure_guardrails, with_guarded_sums
from ctr_retrain.tasks.evaluate.score_models import judged_rows
from ctr_retrain.tasks.train.row_roles import guard_labels

ROWS = 4000
COST = Cost(true_positive=-0.98, false_positive=0.02)
WINDOWS = {"ad": {"unsubscribe": 24, "refund": 240}, "push": {"unsubscribe": 72}}
RECIPE = Recipe(
    name="guarded",
    channels={name: Channel(positive_ratio=(0, 1), cost=COST, more_kinds=kinds) for name, kinds in WINDOWS.items()},
    features=(Categorical(name="user_id"),),
    gate=Gate(
        max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1, guardrails={"unsubscribe": 0.05, "refund": 0.0}
    ),
)


def scored(**more):
    """Scores by which the challenger sends half of the rows and the champion a quarter, a tenth of which annoyed."""
    number, rng = np.arange(ROWS), np.random.default_rng(3)
    return pa.table(
        {
            "label": np.zeros(ROWS, np.uint8),
            "channel": np.full(ROWS, "ad"),
            "user_bucket": number * 7919 % 256,
            "campaign": (number // 7 % 40).astype(str),
            "day_index": number % 2,
            "challenger": np.where(number % 4 < 2, 0.5, 0.001),
            "champion": np.where(number % 4 == 0, 0.5, 0.001),
            "_guard_unsubscribe": (rng.random(ROWS) < 0.1).astype(np.uint8),
            "_guard_refund": pa.nulls(ROWS, pa.uint8()),
            **more,
        }
    )


def guarded_rows(days=(0, 1), **more):
    table = scored(**more)
    rows = with_guarded_sums(judged_rows(table, None), table, RECIPE)
    return replace(rows, day=np.array(days)[rows.day])


def night(rows):
    return night_of(rows, {"ad": COST, "push": COST})


def test_outcomes_that_are_not_final_yet_are_unknown_on_their_channel():
    plan = SimpleNamespace(day=date(2026, 3, 10))
    found = {}
    table = pa.table({"channel": ["ad", "push"], "label_unsubscribe": [1, 1], "label_refund": [1, 1]})
    with duckdb.connect() as connection:
        rows = connection.from_arrow(table)
        for day in (6, 8):
            labels = guard_labels(RECIPE, plan, date(2026, 3, day))
            assert list(labels) == ['"_guard_unsubscribe"', '"_guard_refund"']
            found[day] = rows.project(", ".join(labels.values())).fetchall()
    assert found == {6: [(1, None), (1, None)], 8: [(1, None), (None, None)]}


def test_a_run_writes_its_guardrails_and_the_worse_model_is_rejected_over_the_nights(tmp_path):
    run = SimpleNamespace(folder=tmp_path, recipe=RECIPE)
    earlier = [night(guarded_rows((day, day + 1))) for day in (0, 2)]
    unsubscribe, refund = measure_guardrails(run, guarded_rows((4, 5)), earlier)
    assert not unsubscribe.passed
    assert (refund.passed, refund.settled) == (True, False)  # none is final
    part = GuardrailsDocument.read(tmp_path / "guardrails.json").guardrails
    assert [(one.kind, one.nights) for one in part.kinds] == [("unsubscribe", 3), ("refund", 3)]


def test_a_validation_day_that_a_night_before_has_judged_counts_once(tmp_path):
    run = SimpleNamespace(folder=tmp_path, recipe=RECIPE)
    earlier = [night(guarded_rows((0, 1)))]
    counts = {}
    for days in ((2, 3), (1, 2), (0, 1)):
        measure_guardrails(run, guarded_rows(days), earlier)
        counts[days] = GuardrailsDocument.read(tmp_path / "guardrails.json").guardrails.kinds[0].ours
    once = counts[0, 1]
    assert counts[2, 3] == 2 * once
    assert once < counts[1, 2] < 2 * once


def test_heads_of_both_models_tell_together(tmp_path):
    heads = {f"{model}_probability_refund": np.full(ROWS, p) for model, p in (("challenger", 0.1), ("champion", 0.3))}
    nights = [guarded_rows((day, day + 1), **heads) for day in (0, 2, 4)]
    assert nights[0].sums["guard_refund_head_ours"].sum() == pytest.approx(0.2 * ROWS / 2)
    run = SimpleNamespace(folder=tmp_path, recipe=RECIPE)
    _, refund = measure_guardrails(run, nights[-1], [night(rows) for rows in nights[:-1]])
    assert not refund.passed
    assert "as the models' heads predict them" in refund.message


def test_without_guardrails_or_a_champion_nothing_is_written(tmp_path):
    table = scored()
    plain = RECIPE.model_copy(update={"gate": RECIPE.gate.model_copy(update={"guardrails": {}})})
    for rows, recipe in (
        (with_guarded_sums(judged_rows(table, None), table, plain), plain),
        (with_guarded_sums(judged_rows(table.drop_columns(["champion"]), {"ad": 0.01}), table, RECIPE), RECIPE),
    ):
        assert measure_guardrails(SimpleNamespace(folder=tmp_path, recipe=recipe), rows, []) == []
    assert not list(tmp_path.iterdir())
