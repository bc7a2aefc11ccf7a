"""Stage 7, evaluate: challenger and champion score the same rows of the validation days through their served graphs.

The validation days come after all that either has seen, and their rows are unweighted: each impression counts once.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.documents.evaluation_documents import CostCurve, EvaluationDocument, ModelName
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.judging.cold_twin import compare_with_twin
from ctr_retrain.models.judging.costs import (
    cost_curve,
    cost_per_1000,
    fill_values,
    send_all_costs,
    send_none_costs,
    usual_threshold,
    value_of,
)
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.judging.metrics import measure, reliability
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.serving.output_names import PROBABILITY, head_column, probability_column
from ctr_retrain.tasks.evaluate.score_heads import measure_heads
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.model_process import Models, ProgressOf
from ctr_retrain.tasks.execution.progress import Report
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import (
    CHALLENGER,
    COLD_TWIN,
    EVALUATED,
    EVALUATION_FILE,
    SCORES_FILE,
    SERVING,
)
from ctr_retrain.tasks.store.protocol import Store, has_object, load_manifest, open_verified
from ctr_retrain.tasks.train.row_roles import GUARD_LABEL, HEAD_LABEL, validation_rows
from ctr_retrain.tasks.train.weigh_rows import constant_rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.models.recipe.channel_section import Cost
    from ctr_retrain.models.serving.scorer import Scorer

BATCH_ROWS = 200_000  # impressions scored at once, so that all features of the validation days are never in memory
LOGGED = ("value", "propensity", "explore", "served_probability")  # columns that judging reads, where there are such
EARLIER = ("anchor", "predecessor")  # roles of earlier champions, and columns of their probabilities
CURVE_POINTS = 60  # thresholds at which a cost curve is computed

log = logging.getLogger(__name__)


def evaluate_models(run: Run, models: Models) -> None:
    """Write scores.parquet, a row for each impression of the validation days, and evaluation.json."""
    models.call(_score_and_measure, run)


def _score_and_measure(progress_of: ProgressOf, run: Run) -> None:
    """Score the validation days with every model of this run and write both files, in the process of the models."""
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415 - TensorFlow: not for the flow
    from ctr_retrain.tasks.evaluate.unseen_values import UnseenValues  # noqa: PLC0415 - likewise

    recipe, plan, folder = run.recipe, run.plan, run.folder
    scorers = {"challenger": Scorer(folder / CHALLENGER / SERVING)}
    champion = fair_champion(run.store, plan)
    if champion is not None:
        scorers["champion"] = Scorer(champion[0])
        scorers |= _earlier_scorers(run)
    if (folder / COLD_TWIN / CHALLENGER).is_dir():
        scorers["cold_twin"] = Scorer(folder / COLD_TWIN / CHALLENGER / SERVING)
    unseen = UnseenValues(run)
    with progress_of("evaluating", "rows") as progress:
        scored = pa.Table.from_batches(score_rows(run, scorers, progress, unseen.add))
    pq.write_table(scored, folder / SCORES_FILE, compression="zstd")
    judged = judged_rows(scored, constant_rates(folder) if plan.champion is None else None)
    twin = None
    if "cold_twin" in scorers:
        twin = compare_with_twin(judged, scored["cold_twin"].to_numpy(), recipe.gate)
    more = {
        "heads": measure_heads(scored, recipe, plan),
        "champion_data_through": date.fromisoformat(champion[1]) if champion else None,
        "cold_twin": twin,
        "unseen": unseen.shares(),
    }
    _measure(judged, recipe).model_copy(update=more).write(folder / EVALUATION_FILE)


def fair_champion(store: Store, plan: RunPlan) -> tuple[Path, str] | None:
    """Return the champion's model that has not seen the validation days, and the newest day that it has seen.

    None where there is no champion, or where its models have seen the validation days.
    """
    return _fair_model(store, plan.champion.version, plan.validate[0].day) if plan.champion else None


def _fair_model(store: Store, version: str, first: date) -> tuple[Path, str] | None:
    """Return the model of a version that has seen no day from `first` on, and the newest day that it has seen.

    This is the model that serves or else its evaluated twin, the model that was judged before a fresh pass; of a
    recalibrated model always the twin. None where both have.
    """
    # Days are compared as texts: in ISO 8601 the order of texts is the order of days.
    unseeing = [(name, through) for name, through in _seen(store, version).items() if through < str(first)]
    if not unseeing:
        return None
    name, through = unseeing[0]
    folder = open_verified(store, layout.model_object(version), f"{name}/")
    return (folder / name, through) if folder else None


def judged_model(store: Store, version: str, first: date) -> Path | None:
    """Return the model of a version as the gate scores it on days from `first` on, whether it ever served or not.

    None where it is gone, or has seen these days.
    """
    path = layout.run_object(version)
    if has_object(store, path):
        run = open_verified(store, path, f"{CHALLENGER}/{SERVING}/", f"{CHALLENGER}/{EVALUATED}/")
        found = [run / CHALLENGER / name for name in (EVALUATED, SERVING)] if run else []
        if there := [model for model in found if model.is_dir()]:
            return there[0]
    model = _fair_model(store, version, first)
    return model[0] if model else None


def _earlier_scorers(run: Run) -> dict[str, Scorer]:
    """Load the earlier champions that the champion is measured by, as far as they can still be scored."""
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415 - TensorFlow: not for the flow

    found, loaded = {}, {}
    for role, tenure in run.plan.earlier.items():
        try:
            model = _fair_model(run.store, tenure.version, run.plan.validate[0].day)
            if model and model[0] not in loaded:
                loaded[model[0]] = Scorer(model[0])
        except StorageError as error:  # removed or damaged: the verdict says that it can't be scored
            log.warning("%s %s: %s", role, tenure.version, error)
            continue
        if model:
            found[role] = loaded[model[0]]
    return found


def unfairness(store: Store, plan: RunPlan) -> str | None:
    """Return the reason why the champion can't be scored on the validation days; None where it can or there is none."""
    if plan.champion is None:
        return None
    seen, first = _seen(store, plan.champion.version), str(plan.validate[0].day)
    if not seen:
        return f"expected its bundle under {layout.MODELS}/, received none"
    if any(through < first for through in seen.values()):
        return None
    received = " and ".join(f"{through} ({_ROLES[name]})" for name, through in seen.items())
    return f"expected data through a day before {first}, received {received}: it has seen the validation days"


# How messages call the models of a bundle.
_ROLES = {SERVING: "what serves", EVALUATED: "its evaluated twin"}


def _seen(store: Store, version: str) -> dict[str, str]:
    """Return the newest day that each model of a version's bundle that may be scored has seen, what serves first.

    Empty without its bundle.
    """
    published = load_manifest(store, layout.model_object(version), PublishedModel)
    if published is None:
        return {}
    twin = {EVALUATED: str(through)} if (through := published.evaluated_data_through) else {}
    # A challenger is judged before its own level is brought up to date, and so is the champion: like with like.
    return twin if published.recalibration is not None else {SERVING: str(published.data_through), **twin}


def judged_rows(scored: pa.Table, constant_rate: Mapping[str, float] | None) -> JudgedRows:
    """Return the scored rows as the gate reads them.

    constant_rate: by channel, the probability to compare with where there is no champion.
    """
    column = {name: scored[name].to_numpy(zero_copy_only=False) for name in scored.column_names}
    value = fill_values(column["value"], column["channel"]) if "value" in column else None
    return JudgedRows(
        label=column["label"],
        challenger=column["challenger"],
        champion=column.get("champion"),
        channel=column["channel"],
        user_bucket=column["user_bucket"],
        campaign=_campaign_codes(column["campaign"]),
        day=column["day_index"],
        constant_rate=constant_rate,
        value=value,
        earlier={role: column[role] for role in EARLIER if role in column and "champion" in column},
    )


def _campaign_codes(names: NDArray[Any]) -> NDArray[np.int64]:
    """Number campaigns by a hash of their names, so that a number means the same campaign on every night: (rows,)."""
    # Numbers, since intervals add up cells of users and campaigns, which arrays of numbers make cheap.
    unique, index = np.unique(names.astype(str), return_inverse=True)
    hashes = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in unique)
    return np.frombuffer(hashes, "<i8")[index]


def score_rows(
    run: Run, scorers: Mapping[str, Scorer], progress: Report, look: Callable[[pa.Table], None] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield of each batch of validation rows what the gate needs of them, and each model's probability by its name.

    look: called with the batch as it landed.
    """
    recipe, done = run.recipe, 0
    heads = recipe.training.heads
    logged = [name for name in LOGGED if getattr(recipe.landing.columns, name)]
    kept = ["event_id", "label", "channel", "user_bucket", "day_index", *logged]
    kept += [f"{HEAD_LABEL}{head.kind}" for head in heads]
    kept += [f"{GUARD_LABEL}{kind}" for kind in recipe.gate.guardrails]
    campaign = "campaign_id" if recipe.landing.columns.campaign_id else "''"
    # In the order of the serving check's sample, which is compared with these scores by position.
    query = f"SELECT *, {campaign} AS _campaign FROM ({validation_rows(run)}) ORDER BY day_index, event_id"
    rows = sum(day.rows for day in run.plan.validate)
    with duck.connect(run.folder) as connection:
        for batch in connection.sql(query).to_arrow_reader(BATCH_ROWS):
            table, scores = pa.table(batch), dict[str, Any]()
            if look:
                look(table)
            for name, scorer in scorers.items():
                answers = scorer.score_all(table)
                scores[name] = pa.array(answers[PROBABILITY])
                columns = {head_column(name, head.kind): probability_column(head.kind) for head in heads}
                scores |= {column: pa.array(answers[own]) for column, own in columns.items() if own in answers}
            columns = {name: table[name].combine_chunks() for name in kept}
            columns["campaign"] = table["_campaign"].combine_chunks()
            yield pa.RecordBatch.from_pydict(columns | scores)
            done += len(table)
            progress(done, rows)


def _measure(rows: JudgedRows, recipe: Recipe) -> EvaluationDocument:
    """Measure both models, or the challenger and a constant, on the same rows: all that the report shows of them."""
    costs = {name: channel.cost for name, channel in recipe.channels.items()}
    models: dict[ModelName, NDArray[Any]] = {"challenger": rows.challenger}
    if rows.champion is not None:
        models["champion"] = rows.champion
    elif rows.constant_rate is not None:
        models["constant"] = rows.baseline()
    return EvaluationDocument(
        metrics={name: measure(rows.label, p, rows.channel, costs, rows.value) for name, p in models.items()},
        reliability={name: tuple(reliability(rows.label, p)) for name, p in models.items()},
        send_all_per_1000=cost_per_1000(send_all_costs(rows.label, rows.channel, costs, rows.value)),
        send_none_per_1000=cost_per_1000(send_none_costs(rows.label, rows.channel, costs, rows.value)),
        cost_curves={
            name: _cost_curve(rows.where(own), {model: p[own] for model, p in models.items()}, name, cost)
            for name, cost in costs.items()
            if (own := rows.channel == name).any()
        },
    )


def _cost_curve(own: JudgedRows, models: dict[ModelName, NDArray[Any]], name: str, cost: Cost) -> CostCurve:
    """Compute each model's cost over thresholds around the one at which decisions are made, for one channel's rows."""
    usual = usual_threshold(cost, value_of(own.value, own.channel == name, cost))
    # Evenly on a logarithmic scale, from a twentieth to twenty times the threshold that the costs imply.
    points = usual * np.geomspace(1 / 20, 20, CURVE_POINTS)
    points = points[points < 1]
    curves = {model: tuple(cost_curve(own.label, p, cost, points, own.value).tolist()) for model, p in models.items()}
    return CostCurve(
        threshold=usual,
        thresholds=tuple(points.tolist()),
        **curves,
        send_all_per_1000=cost_per_1000(send_all_costs(own.label, own.channel, {name: cost}, own.value)),
        send_none_per_1000=cost_per_1000(send_none_costs(own.label, own.channel, {name: cost}, own.value)),
    )
