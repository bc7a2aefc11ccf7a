"""Great Expectations as this pipeline uses it: a few expectations over small profile tables.

Profiling comes first, in DuckDB, so what is judged here has one row a day and not one an impression. What it finds is
shown by a page of ours, `write_data_docs`.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from ctr_retrain.models.data.profile import Range, value_set_name
from ctr_retrain.models.recipe.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

_one_at_a_time = threading.Lock()  # Great Expectations has one current context a process
MOST_ERROR_CHARACTERS = 500  # an error may hold the data that it was about


@dataclass(frozen=True)
class ExpectationResult:
    """The result of one expectation, as Great Expectations found it."""

    met: bool  # an expectation that raised is not met
    error: str = ""  # what it raised


def run_expectations(
    measures: Mapping[str, float | None], ranges: Sequence[Range], values: pa.Table, recipe: Recipe
) -> dict[str, ExpectationResult]:
    """Evaluate each expectation about a day and return the results by the expectations' names."""
    with _one_at_a_time:
        return _run(measures, ranges, values, recipe)


def _run(
    measures: Mapping[str, float | None], ranges: Sequence[Range], values: pa.Table, recipe: Recipe
) -> dict[str, ExpectationResult]:
    """Run all expectations in a context of their own."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx  # noqa: PLC0415 - takes five seconds and 280 MB
    import great_expectations.expectations as gxe  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    for chatty in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    table = pd.DataFrame([{name: float("nan") if value is None else float(value) for name, value in measures.items()}])
    results = _validate(context, table, [_expect_range(gxe, expected) for expected in ranges])
    for column, allowed in recipe.validation.value_sets.items():
        seen = values.filter(pc.equal(values["name"], column)).select(["value"]).to_pandas()
        meta = {"name": value_set_name(column)}
        among = gxe.ExpectColumnValuesToBeInSet(column="value", value_set=list(allowed), meta=meta)
        results |= _validate(context, seen, [among])
    return results


def _validate(context: Any, frame: pd.DataFrame, expectations: Sequence[Any]) -> dict[str, ExpectationResult]:
    """Evaluate expectations over a table."""
    import great_expectations as gx  # noqa: PLC0415

    batch = context.data_sources.pandas_default.read_dataframe(frame)
    # Without a checkpoint, whose stored definitions and reports take longer than the evaluation and which nobody reads.
    suite = gx.ExpectationSuite(name="day", expectations=list(expectations))
    found = batch.validate(suite, result_format="BOOLEAN_ONLY").results
    return {r.expectation_config.meta["name"]: ExpectationResult(bool(r.success), _error(r)) for r in found}


def _expect_range(gxe: Any, expected: Range) -> Any:
    """Make the expectation that a number of the profile lies in its range."""
    return gxe.ExpectColumnValuesToBeBetween(
        column=expected.name, min_value=expected.minimum, max_value=expected.maximum, meta={"name": expected.name}
    )


def _error(result: Any) -> str:
    """Return what an expectation raised, in one line; nothing where it was evaluated."""
    raised: dict[str, Any] = result.exception_info or {}
    # One entry for the whole expectation, or one for each metric that it is computed from.
    entries = [raised] if "raised_exception" in raised else list(raised.values())
    messages = [str(entry["exception_message"]) for entry in entries if entry["raised_exception"]]
    return " ".join("; ".join(dict.fromkeys(messages)).split())[:MOST_ERROR_CHARACTERS]
