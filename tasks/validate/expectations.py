"""Great Expectations as this pipeline uses it: a few expectations over small profile tables, with data docs.

Profiling comes first, in DuckDB, so what is judged here has one row a day and not one an impression.
"""

from __future__ import annotations

import logging
import os
import threading
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.data.profile import Range, expected_ranges
from ctr_retrain.models.recipe.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd


_one_at_a_time = threading.Lock()  # Great Expectations has one current context a process


def run_expectations(
    measures: dict[str, float | None], values: pd.DataFrame, recipe: Recipe, day: date, docs: Path
) -> dict[str, bool]:
    """Evaluate each expectation: name → met or not; an expectation that raised counts as not met."""
    with _one_at_a_time:
        return _run(measures, values, recipe, day, docs)


def _run(
    measures: dict[str, float | None], values: pd.DataFrame, recipe: Recipe, day: date, docs: Path
) -> dict[str, bool]:
    """Build a context of its own for one day, run all expectations in it and write the data docs."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx  # noqa: PLC0415 - takes five seconds and 280 MB
    import great_expectations.expectations as gxe  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    for chatty in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    context.add_data_docs_site(site_name="docs", site_config=_docs_site(docs))
    table = pd.DataFrame([{name: float("nan") if value is None else float(value) for name, value in measures.items()}])
    tables = {"profile": (table, [_expect_range(gxe, expected) for expected in expected_ranges(recipe)])}
    for column, allowed in recipe.validation.value_sets.items():
        seen = values[values["name"] == column][["value"]]
        among = gxe.ExpectColumnValuesToBeInSet(
            column="value", value_set=list(allowed), meta={"name": f"values[{column}]"}
        )
        tables[f"values of {column}"] = (seen, [among])
    passed: dict[str, bool] = {}
    for name, (frame, expectations) in tables.items():
        batch = (
            context.data_sources.add_pandas(name).add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        )
        suite = context.suites.add(gx.ExpectationSuite(name=f"{name} {day}", expectations=expectations))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
        checkpoint = context.checkpoints.add(gx.Checkpoint(name=name, validation_definitions=[definition]))
        result = checkpoint.run(batch_parameters={"dataframe": frame})
        for run in result.run_results.values():
            passed |= {r.expectation_config.meta["name"]: bool(r.success) for r in run.results}
    context.build_data_docs()
    for animation in (docs / "static" / "images").glob("*.gif"):
        animation.unlink()  # 3 MB a day of help on how to read such pages
    return passed


def _expect_range(gxe: Any, expected: Range) -> Any:
    """Make the expectation that a number of the profile lies in its range."""
    return gxe.ExpectColumnValuesToBeBetween(
        column=expected.name, min_value=expected.minimum, max_value=expected.maximum, meta={"name": expected.name}
    )


def _docs_site(folder: Path) -> dict[str, Any]:
    """Describe a site of data docs in a folder, as Great Expectations wants it."""
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
    }
