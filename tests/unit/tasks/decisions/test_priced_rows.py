"""Rules of scored rows whose channel has costs that name the impression's value."""

import numpy as np
import pyarrow as pa
import pytest

from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.gate.judge import judge
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.landing_section import Columns, Landing
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.decisions.measure_money import check_values
from ctr_retrain.tasks.evaluate.score_models import judged_rows

ROWS = 4000
BID = Cost(true_positive="0.02 - value", false_positive=0.02)


def recipe(cost=BID, *, gated=True):
    plain = Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))
    wide = {"max_log_loss_delta": 10, "calibration_ratio": (1e-3, 1e3), "min_rows": 1, "min_positives": 1}
    return Recipe(
        name="priced",
        currency="EUR",
        landing=Landing(columns=Columns(value="bid")),
        channels={"ad": Channel(positive_ratio=(0, 1), cost=cost, gated=gated), "push": plain},
        features=(Categorical(name="user_id"),),
        gate=Gate(max_cost_delta_per_1000=0, max_channel_cost_delta_per_1000=1000, **wide),
    )


def scored(value, missing=0):
    """Scores of two models by which the challenger knows the rows of value 2 and the champion those of value 0.1."""
    number = np.arange(ROWS)
    label = (number % 10 < 2).astype(np.uint8)
    dear = number % 2 == 0
    return pa.table(
        {
            "label": label,
            "channel": np.where(number < ROWS * 0.9, "ad", "push"),
            "user_bucket": number % 256,
            "campaign": (number // 7 % 40).astype(str),
            "day_index": np.zeros(ROWS, int),
            "challenger": np.where(dear, np.where(label, 0.5, 0.001), 0.005),
            "champion": np.where(dear, 0.005, np.where(label, 0.5, 0.001)),
            "value": pa.array(np.where(dear, *value), mask=number < missing),
        }
    )


def test_who_finds_the_dear_positives_wins_and_at_equal_values_nobody_does():
    for value, decision in (((2.0, 0.1), "promote"), ((0.1, 2.0), "reject"), ((1.0, 1.0), "hold")):
        verdict = judge(judged_rows(scored(value), None), recipe(), same_recipe=False)
        assert verdict.decision == decision, verdict.reason


def test_a_missing_value_is_its_channels_mean_and_many_of_them_hold_the_run():
    rows = judged_rows(scored((2.0, 0.1), missing=300), None)
    assert rows.value[0] == pytest.approx(rows.value[300 : int(ROWS * 0.9)].mean())
    for missing, passed in ((300, True), (400, False)):
        (check,) = check_values(scored((2.0, 0.1), missing), recipe())
        assert (check.passed, check.value) == (passed, pytest.approx(missing / (ROWS * 0.9)))
        assert check.kind == "evidence"
        assert "Rows of channel 'ad' without a value" in check.message


def test_values_that_no_gated_channels_cost_names_are_not_asked_for():
    assert check_values(scored((1, 1)), recipe(Cost(true_positive=-1, false_positive=0.02))) == []
    assert check_values(scored((1, 1)), recipe(gated=False)) == []
