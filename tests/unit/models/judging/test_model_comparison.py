"""Rules of the table that sets challenger and champion side by side."""

import pytest

from ctr_retrain.models.documents.evaluation_documents import METRICS, EvaluationDocument, Metric, Metrics
from ctr_retrain.models.judging.model_comparison import ComparedFigure, compare
from ctr_retrain.models.recipe.recipe import Recipe

COST = {"true_positive": -0.98, "false_positive": 0.02, "false_negative": 0.1}
RECIPE = Recipe.model_validate(
    {
        "name": "r",
        "channels": {"ad": {"positive_ratio": [0, 1], "cost": COST}},
        "features": [{"name": "device", "kind": "categorical"}],
        "gate": {"max_cost_delta_per_1000": 1, "max_channel_cost_delta_per_1000": 1},
    }
)


def metrics(rows=1000, positives=20, kind=Metrics, **figures):
    block = kind(**{**dict.fromkeys(METRICS), "rows": rows, "positives": positives, "threshold": {}, **figures})
    return block.model_copy(update={"by_channel": {"ad": block}})


def evaluation(**models):
    return EvaluationDocument(
        metrics=models, reliability={}, send_all_per_1000=1.0, send_none_per_1000=2.0, cost_curves={}
    )


@pytest.mark.parametrize(
    ("key", "ours", "theirs", "difference", "better"),
    [
        ("auc", 0.71, 0.7, "+0.0100", True),
        ("auc", 0.7, 0.71, "−0.0100", False),
        ("log_loss", 0.1, 0.11, "−0.01000", True),
        ("cost_per_1000", -8.0, -9.5, "+1.50", False),
        ("calibration_ratio", 1.1, 0.8, "+0.300", True),
        ("calibration_ratio", 0.8, 1.1, "−0.300", False),
        ("cost_per_1000", -8.001, -8.0, "−0.00", None),
        ("auc", 0.7, None, "", None),
        ("auc", None, 0.7, "", None),
    ],
)
def test_each_metric_knows_which_way_is_better_and_says_nothing_where_one_is_missing(
    key, ours, theirs, difference, better
):
    block = compare(evaluation(challenger=metrics(**{key: ours}), champion=metrics(**{key: theirs})), RECIPE)[0]
    figure = block.figures[list(METRICS).index(key)]
    assert (figure.difference, figure.better) == (difference, better)


class WithBrier(Metrics):
    brier: float | None


def test_a_metric_is_set_side_by_side_as_its_entry_says(monkeypatch):
    monkeypatch.setitem(METRICS, "brier", Metric("Brier score", "Brier", 3, "lower"))
    ours, theirs = metrics(kind=WithBrier, brier=0.25), metrics(kind=WithBrier, brier=0.3)
    block = compare(evaluation(challenger=ours, champion=theirs), RECIPE)[0]
    assert block.figures[-1] == ComparedFigure("Brier score", "0.250", "0.300", "−0.050", better=True)


def test_there_is_a_block_for_all_rows_and_one_a_channel_with_what_sending_all_or_none_costs():
    blocks = compare(evaluation(challenger=metrics(), constant=metrics()), RECIPE)
    assert [(block.channel, block.rows, block.positives) for block in blocks] == [(None, 1000, 20), ("ad", 1000, 20)]
    assert (blocks[0].send_all, blocks[0].send_none) == (1.0, 2.0)
    assert blocks[1].send_all == pytest.approx(20 * -0.98 + 980 * 0.02)
    assert blocks[1].send_none == pytest.approx(20 * 0.1)


def test_a_channel_without_rows_has_no_such_costs():
    assert compare(evaluation(challenger=metrics(rows=0, positives=0)), RECIPE)[1].send_all is None


def test_the_opponent_is_the_champion_else_the_constant_rate_else_nothing():
    block = metrics(auc=0.7)
    assert evaluation(challenger=block, champion=block).opponent == "champion"
    assert evaluation(challenger=block, constant=block).opponent == "constant"
    assert evaluation(challenger=block).opponent is None
    assert {f.opponent for f in compare(evaluation(challenger=block), RECIPE)[0].figures} == {"–"}
