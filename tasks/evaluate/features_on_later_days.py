"""Predict for the validation days with and without each feature, where models live: the encoded days are read again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ctr_retrain.models.documents.bundle_documents import BundleDocument
from ctr_retrain.models.documents.drift_documents import FeatureFamily, FeatureOnLaterDays, FeatureWorth
from ctr_retrain.models.feature_worth.feature_judge import FeatureJudge, PredictedRows
from ctr_retrain.models.feature_worth.later_values import EncodedSample, later_values
from ctr_retrain.models.feature_worth.left_out import families, without
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.judging.costs import fill_values
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.training.saved_network import fitted_recipe, load_trainable, rebuild_network
from ctr_retrain.models.training.training_loop import logits_function
from ctr_retrain.models.yardstick.simple_models import kept_shares, sample
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.store.layout import BUNDLE_FILE, CHALLENGER, TRAINABLE
from ctr_retrain.tasks.train.encode_days import encode_days
from ctr_retrain.tasks.train.row_roles import judged_rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.features.encoder import Coded
    from ctr_retrain.tasks.execution.progress import Report
    from ctr_retrain.tasks.plan.run import Run

    Predict = Callable[[NDArray[np.int32], NDArray[np.float32]], NDArray[np.float64]]

MOST_ROWS = 10_000  # predicted without each feature: all positives if half of them is enough, and negatives
VALUE_ROWS = 20_000  # of the window, and of each validation day, whose values are counted


def judge_features(run: Run, progress: Report) -> FeatureWorth:
    """Measure the challenger's features and those that belong together."""
    began, recipe = time.monotonic(), run.recipe
    predict, features = _served_network(run)
    window, days = (encode_days(run.store, recipe, chosen) for chosen in (run.plan.window, run.plan.validate))
    ids, numeric, judged = _judged_sample(run, days, features)
    gated = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    rows = PredictedRows(log_odds=predict(ids, numeric), **judged)
    judge = FeatureJudge(rows, gated, recipe.gate.confidence)
    wanted = [*((feature.name,) for feature in features), *families(features)]
    worths = []
    for names in wanted:
        worths.append(judge.judge(names, predict(*without(ids, numeric, rows.channel, features, names))))
        progress(len(worths), len(wanted))
    values = later_values(
        _value_sample(window, features),
        [(day.day, _value_sample([coded], features)) for day, coded in zip(run.plan.validate, days, strict=True)],
        features,
    )
    return FeatureWorth(
        rows=len(rows.label),
        positives=judge.positives,
        log_loss=judge.log_loss,
        seconds=time.monotonic() - began,
        features=tuple(
            FeatureOnLaterDays(
                name=feature.name,
                coverage=1 - values[feature.name].window_missing,
                days=values[feature.name].days,
                worth=worth,
            )
            for feature, worth in zip(features, worths, strict=False)
        ),
        families=tuple(
            FeatureFamily(names=names, worth=worth)
            for names, worth in zip(wanted[len(features) :], worths[len(features) :], strict=True)
        ),
    )


def _served_network(run: Run) -> tuple[Predict, tuple[Feature, ...]]:
    """Return the challenger's log-odds as a function of encoded rows, and its features as they were fitted."""
    folder = run.folder / CHALLENGER
    bundle, trainable = BundleDocument.read(folder / BUNDLE_FILE), load_trainable(folder / TRAINABLE)
    training = run.recipe.training.model_copy(update={"precision": "float32"})
    recipe = fitted_recipe(run.recipe.model_copy(update={"training": training}), trainable)
    network = rebuild_network(trainable, recipe, NumericState.from_json(bundle.numeric_state))
    logits, calibration = logits_function(network), Calibration.of(bundle.calibration)
    return lambda ids, numeric: calibration.line(logits(ids, numeric)), recipe.features


def _judged_sample(
    run: Run, days: Sequence[Coded], features: tuple[Feature, ...]
) -> tuple[NDArray[np.int32], NDArray[np.float32], dict[str, Any]]:
    """Draw validation rows of gated channels: ids, raw numbers, and what is judged of them, (n, …) each."""
    gated = [name for name, channel in run.recipe.channels.items() if channel.gated]
    tables = _judged_columns(run)
    table = pa.concat_tables(tables)
    label = table["label"].to_numpy()
    channel = table["channel"].to_numpy(zero_copy_only=False)
    there = np.flatnonzero(np.isin(channel, gated))
    positives = int(np.count_nonzero(label[there]))
    shares = kept_shares(positives, len(there) - positives, MOST_ROWS)
    drawn, weight = sample(label[there], shares, np.random.default_rng(run.recipe.training.seed))
    rows = there[drawn]
    ends = np.cumsum([len(each) for each in tables])
    parts = [
        own - first for own, first in zip(np.split(rows, np.searchsorted(rows, ends[:-1])), [0, *ends], strict=False)
    ]
    ids = np.concatenate([_ids(day, own, features) for day, own in zip(days, parts, strict=True)])
    numeric = np.concatenate([day.numeric[own] for day, own in zip(days, parts, strict=True)])
    columns = {name: table[name].to_numpy(zero_copy_only=False)[rows] for name in ("user_bucket", "campaign")}
    campaign = columns["campaign"].astype(str)
    judged = {"label": label[rows], "channel": channel[rows], "user_bucket": columns["user_bucket"]}
    value = {"value": fill_values(table["value"].to_numpy(), channel)[rows]} if "value" in table.column_names else {}
    return ids, numeric, {**judged, **value, "campaign": campaign, "weight": weight}


def _judged_columns(run: Run) -> list[pa.Table]:
    """Read what judging needs of each validation day, in the order of its encoded rows."""
    with duck.connect(run.folder, threads=1) as connection:  # one thread keeps the rows' order
        queries = (judged_rows_of(run.store, run.recipe, day) for day in run.plan.validate)
        return [connection.sql(query).to_arrow_table() for query in queries]


def _value_sample(days: Sequence[Coded], features: tuple[Feature, ...]) -> EncodedSample:
    """Take rows evenly from the days."""
    step = sum(len(day.codes) for day in days) // VALUE_ROWS + 1
    rows = [np.arange(0, len(day.codes), step) for day in days]
    return EncodedSample(
        np.concatenate([_ids(day, own, features) for day, own in zip(days, rows, strict=True)]),
        np.concatenate([day.numeric[own] for day, own in zip(days, rows, strict=True)]),
    )


def _ids(day: Coded, rows: NDArray[np.int64], features: tuple[Feature, ...]) -> NDArray[np.int32]:
    """Return the table's rows of some rows of an encoded day."""
    return day.dictionary.table_rows_of(day.codes[rows], features)
