"""Past nights whose models are scripted, so that policies can be replayed on them without training anything.

Each night validates one day of two channels. A model knows each row's true log-odds up to an error of its own by user
bucket and campaign; one that is harmful has them upside down.
"""

from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit, logit

from ctr_retrain.models.documents.command_documents import BackfillDay
from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.backfill import replay_policies as replaying
from ctr_retrain.tasks.backfill.past_nights import PastNight
from ctr_retrain.tasks.evaluate import judge_challenger
from tests.support.reported_run import RECIPE as REPORTED
from tests.support.reported_run import make_plan

BOUNDS = {"max_cost_delta_per_1000": 6, "max_channel_cost_delta_per_1000": 15, "max_log_loss_delta": 0.05}
LOOSE = {"calibration_ratio": (0.2, 5.0), "auto_rollback": True}  # what is told here is told by cost
RECIPE = REPORTED.model_copy(update={"gate": REPORTED.gate.model_copy(update=BOUNDS | LOOSE)})
FIRST, ROWS, CAMPAIGNS, LEVEL = date(2026, 3, 10), 2500, 80, logit(0.025)


def run_of(number):
    """The run of a night, counted from 0."""
    return f"{FIRST + timedelta(days=number)}-{number:04d}"


def past_night(number, decision="promote"):
    """A night whose run is recorded, with a model."""
    day = FIRST + timedelta(days=number)
    plan = replace(make_plan(day), run_id=run_of(number))
    document = SimpleNamespace(
        run_id=run_of(number),
        data_through=plan.data_through,
        recipe_digest=plan.recipe_digest,
        training_digest=plan.training_digest,
        training=True,
        metrics=SimpleNamespace(challenger=True),
        verdict=SimpleNamespace(decision=decision, reason="", checks=()),
    )
    return PastNight(document, plan)


class ScriptedModels:
    """What each run's model answers; `harmful`: numbers of runs; `unscored`: days that can't be scored."""

    def __init__(self, *, error=0.1, harmful=(), unscored=()):
        rng = np.random.default_rng(1)
        self._buckets, self._campaigns = rng.normal(0, 0.3, 256), rng.normal(0, 1.2, CAMPAIGNS)
        self._error, self._harmful = error, {run_of(number) for number in harmful}
        self._unscored = unscored

    def score(self, run, models, needed, wanted):
        """The validation day's rows, as `score_versions` has them."""
        day = run.plan.validate[0].day
        if day in self._unscored:
            msg = "expected a disk, received none"
            raise StorageError(msg)
        rng = np.random.default_rng(day.toordinal())
        bucket, campaign = rng.integers(0, 256, ROWS), rng.integers(0, CAMPAIGNS, ROWS)
        odds = self._buckets[bucket] + self._campaigns[campaign]
        columns = {
            "label": (rng.random(ROWS) < expit(LEVEL + odds)).astype(np.uint8),
            "channel": np.where(rng.random(ROWS) < 0.5, "ad", "push"),
            "user_bucket": bucket.astype(np.uint8),
            "day_index": np.zeros(ROWS, np.int16),
            "campaign": campaign.astype(str),
        }
        for version in {*needed, *wanted}:
            own = np.random.default_rng(int(version[-4:]))
            error = own.normal(0, self._error, 256)[bucket] + own.normal(0, self._error, CAMPAIGNS)[campaign]
            columns[version] = expit(LEVEL + (-odds if version in self._harmful else odds) + error)
        return pa.table(columns)


def replay(store, nights, models, left_out=None):
    """Replay nights by scripted models."""

    @contextmanager
    def nobody(_):
        yield None

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(replaying, "load_past_nights", lambda *_: (nights, left_out or {}))
        patched.setattr(replaying, "models_on", nobody)
        patched.setattr(replaying, "score_versions", models.score)
        # Of landed rows, and of money: both have their own tests.
        for measured in ("measure_slices", "measure_decisions"):
            patched.setattr(judge_challenger, measured, lambda *_, **__: [])
        days = [BackfillDay(date=night.day, outcome="promote", run_id=night.plan.run_id) for night in nights]
        return replaying.replay_policies(store, store, RECIPE, days, None, None)
