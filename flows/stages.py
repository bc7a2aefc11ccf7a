"""The stages of a daily run: each is named once, and where Prefect records the run, each is a task under its name.

A stage itself is a plain function in `tasks/`, which commands, other stages and tests call as it is.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.tasks.alerts import report_signals as reporting
from ctr_retrain.tasks.deploy import choose_served, publish_model
from ctr_retrain.tasks.deploy import withdraw_harmful as withdrawing
from ctr_retrain.tasks.evaluate import find_leaks as leaks
from ctr_retrain.tasks.evaluate import judge_challenger as judging
from ctr_retrain.tasks.evaluate import measure_features as feature_worth
from ctr_retrain.tasks.evaluate import measure_maturity as maturity
from ctr_retrain.tasks.evaluate import measure_seed_twin as seed_twin
from ctr_retrain.tasks.evaluate import measure_yardstick as yardstick
from ctr_retrain.tasks.evaluate import score_models
from ctr_retrain.tasks.evaluate import watch_numbers as numbers
from ctr_retrain.tasks.ingest import ingest_day as ingest
from ctr_retrain.tasks.ledger import write_ledger
from ctr_retrain.tasks.nights.stage_times import timed
from ctr_retrain.tasks.orchestration.recorded import stage as recorded_stage
from ctr_retrain.tasks.report import run_document, run_page
from ctr_retrain.tasks.train import train_challenger as training
from ctr_retrain.tasks.train import weigh_rows as weights
from ctr_retrain.tasks.validate import check_outcomes as completeness
from ctr_retrain.tasks.validate import detect_drift as drift
from ctr_retrain.tasks.validate import validate_day as validation

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def stage(work: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a function a stage of the flow that calls it, whose time is noted where a run is watched."""
    return recorded_stage(timed(work))


ingest_day = stage(ingest.ingest_day)
check_outcomes = stage(completeness.check_outcomes)
validate_day = stage(validation.validate_day)
detect_drift = stage(drift.detect_drift)
report_signals = stage(reporting.report_signals)
measure_maturity = stage(maturity.measure_maturity)
weigh_rows = stage(weights.weigh_rows)
find_leaks = stage(leaks.find_run_leaks)
watch_numbers = stage(numbers.watch_numbers)
train_challenger = stage(training.train_challenger)
train_cold_twin = stage(training.train_cold_twin)
evaluate_models = stage(score_models.evaluate_models)
check_serving = stage(publish_model.check_serving)
judge_challenger = stage(judging.judge_challenger)
measure_features = stage(feature_worth.measure_features)
ship_challenger = stage(choose_served.ship_challenger)
measure_yardstick = stage(yardstick.measure_yardstick)
measure_seed_twin = stage(seed_twin.measure_seed_twin)
write_document = stage(run_document.write_document)
write_report = stage(run_page.write_report)
enter_night = stage(write_ledger.enter_night)
withdraw_harmful = stage(withdrawing.withdraw_harmful)
deploy_challenger = stage(publish_model.deploy_challenger)
