"""Measure the models' decisions in currency, beside sending all and none and at other prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from ctr_retrain.models.decisions.break_even import describe_money
from ctr_retrain.models.documents.verdict_documents import Check, MoneyDocument
from ctr_retrain.models.number_format import percent
from ctr_retrain.tasks.store.layout import MONEY_FILE

if TYPE_CHECKING:
    import pyarrow as pa

    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.plan.run import Run

MOST_WITHOUT_VALUE = 0.1  # of a priced channel's rows; more, and their mean decides instead of them


def measure_money(run: Run, rows: JudgedRows, *, refresh: bool) -> None:
    """Write money.json into the run's folder; rows: those of gated channels, with probabilities that were checked."""
    money = describe_money(rows, run.recipe, refresh=refresh)
    MoneyDocument(money=money).write(run.folder / MONEY_FILE)


def check_values(scored: pa.Table, recipe: Recipe) -> list[Check]:
    """Return a check for each gated channel whose costs name the value: nearly all of its scored rows have one."""
    priced = [name for name, section in recipe.channels.items() if section.gated and section.cost.names_value]
    checks = []
    for name in priced:
        own = scored["value"].filter(pc.equal(scored["channel"], name))
        # Of the scores as they are: for judging, a missing value has become its channel's mean.
        missing = (pc.sum(pc.is_null(own, nan_is_null=True)).as_py() or 0) / max(1, len(own))
        message = (
            f"Rows of channel '{name}' without a value, which its costs name: expected at most "
            f"{percent(MOST_WITHOUT_VALUE)}, received {percent(missing)}."
        )
        bound, passed = MOST_WITHOUT_VALUE, missing <= MOST_WITHOUT_VALUE
        checks.append(
            Check(name=f"values.{name}", value=missing, bound=bound, passed=passed, message=message, kind="evidence")
        )
    return checks
