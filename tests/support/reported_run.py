"""The plan of a run whose report is made, without its nights: two channels, a window of nine days."""

from datetime import UTC, date, datetime

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.label.label_day import LabelledDay
from ctr_retrain.tasks.plan.plan_run import RunPlan

DAY = date(2026, 3, 25)
NOW = datetime(2026, 3, 26, 4, tzinfo=UTC)
CHAMPION = Tenure(
    version="2026-03-20-0123abcd",
    run_day="2026-03-20",
    data_through="2026-03-18",
    action="promote",
    reason="it was better",
    at=NOW.isoformat(),
)
RECIPE = Recipe.model_validate(
    {
        "name": "r",
        "channels": {
            name: {"positive_ratio": [0, 1], "cost": {"true_positive": -0.98, "false_positive": 0.02}}
            for name in ("ad", "push")
        },
        "features": [{"name": "device", "kind": "categorical"}],
        "training": {"window_days": 9, "min_positives": 1},
        "gate": {
            "max_cost_delta_per_1000": 50,
            "max_channel_cost_delta_per_1000": 50,
            "min_positives": 5,
            "min_rows": 100,
            "bootstrap_draws": 200,
        },
    }
)


def make_plan(day, champion=None, excluded=None):
    """The plan of a run for a day; excluded: days that are left out, and why."""
    days, excluded = plan_days(day, RECIPE), excluded or {}
    labelled = [
        LabelledDay(d, f"labels/{d}/k", 1000, 20, (), 1)
        for d in (*days.train, *days.validate)
        if str(d) not in excluded
    ]
    train = tuple(d for d in labelled if d.day in days.train)
    validate = tuple(d for d in labelled if d.day in days.validate)
    return RunPlan(
        day, f"{day}-{'champion' if champion else 'first'}", days, train, validate, excluded, champion, "d1", "t1", "c1"
    )
