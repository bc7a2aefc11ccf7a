"""Choose which of two models a promoted bundle serves: the newer one where every check holds, else its evaluated twin.

The newer one has gone on through the newest days (fresh), or its level follows the labels of the validation days
(recalibrated); its evaluated twin is the model that was judged, as it was then.

CHALLENGER/serving/              what serves
CHALLENGER/evaluated/serving/    what was judged, where that is another
CHALLENGER/bundle.json           data_through of what serves, evaluated_data_through of what was judged; the shifts of
                                 a recalibration
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.documents.run_documents import Served
from ctr_retrain.models.documents.verdict_documents import (
    Check,
    FreshPassDocument,
    RecalibrationDocument,
    Verdict,
)
from ctr_retrain.models.serving.recalibration import shift_text
from ctr_retrain.tasks.deploy.publish_model import check_serving
from ctr_retrain.tasks.execution.model_process import Compute, Models, ProgressOf
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import (
    BUNDLE_FILE,
    CHALLENGER,
    EVALUATED,
    FRESH,
    FRESH_FILE,
    FRESH_SCORES_FILE,
    RECALIBRATED,
    RECALIBRATED_SCORES_FILE,
    RECALIBRATION_FILE,
    SERVING,
)
from ctr_retrain.tasks.store.protocol import Store, load_manifest


def ship_challenger(run: Run, verdict: Verdict, models: Models) -> None:
    """Let a newer model take the place of a promoted challenger, where the recipe asks for one and all checks hold.

    The challenger stays beside it: the gate scores it on days that the newer one has seen. fresh.json or
    recalibration.json says what was checked.
    """
    if verdict.decision != "promote":
        return
    if run.plan.fresh:
        checks = models.call(_run_fresh_pass, run, models.compute)
        checks = _replace_if_sound(run, models, checks, FRESH, FRESH_SCORES_FILE)
        days = tuple(day.day for day in run.plan.fresh)
        FreshPassDocument(checks=checks, days=days).write(run.folder / FRESH_FILE)
    elif run.recipe.training.ship == "recalibrated":
        found = models.call(_run_recalibration, run)
        checks = _replace_if_sound(run, models, found.checks, RECALIBRATED, RECALIBRATED_SCORES_FILE)
        found.model_copy(update={"checks": checks}).write(run.folder / RECALIBRATION_FILE)


def _run_fresh_pass(progress_of: ProgressOf, run: Run, compute: Compute) -> tuple[Check, ...]:
    """Run the fresh pass in the process of the models, which alone imports TensorFlow."""
    from ctr_retrain.tasks.train.fresh_pass import run_fresh_pass  # noqa: PLC0415 - TensorFlow: not for the flow

    return run_fresh_pass(progress_of, run, compute)


def _run_recalibration(progress_of: ProgressOf, run: Run) -> RecalibrationDocument:
    """Recalibrate in the process of the models."""
    from ctr_retrain.tasks.deploy.recalibrate import recalibrate  # noqa: PLC0415 - likewise

    return recalibrate(progress_of, run)


def _replace_if_sound(
    run: Run, models: Models, checks: tuple[Check, ...], bundle: str, scores: str
) -> tuple[Check, ...]:
    """Let the bundle of that name serve if every check holds, the serving check too; return all checks made."""
    folder = run.folder
    if all(check.passed for check in checks):
        # The check of the challenger says nothing of this bundle: its graph was saved anew.
        checks = (*checks, check_serving(run, models, bundle, scores))
    if all(check.passed for check in checks):
        _replace(folder / CHALLENGER, folder / bundle)
    # Either its files have moved into the challenger's bundle, or a check failed and nobody is to serve it.
    shutil.rmtree(folder / bundle, ignore_errors=True)
    (folder / scores).unlink(missing_ok=True)
    return checks


def _replace(challenger: Path, newer: Path) -> None:
    """Let the challenger's bundle serve the newer model, and keep the one that was judged beside it."""
    # Later gates score the judged one on days that the newer one has seen.
    (challenger / EVALUATED).parent.mkdir()
    (challenger / SERVING).rename(challenger / EVALUATED)
    (newer / SERVING).rename(challenger / SERVING)
    (newer / BUNDLE_FILE).replace(challenger / BUNDLE_FILE)


def describe_served(store: Store, plan: RunPlan, verdict: Verdict, folder: Path) -> Served:
    """Describe the model that serves after this run, the age of its newest data on the run's day, and the reason.

    A promoted challenger, if nothing refuses it the champion's place; else the champion, where there is one.
    """
    if verdict.decision == "promote":
        return _served(plan.run_id, plan.day, *_describe_promoted(plan, folder))
    if champion := plan.champion:
        message = f"The champion {champion.version} stays in service."
        return _served(champion.version, plan.day, _newest_data(store, champion), message)
    return Served(version=None, data_through=None, age_days=None, message="Nothing is in service.")


def describe_restored(store: Store, champion: Tenure, day: date) -> Served:
    """Describe a model that serves again, after a run took its successor out of service."""
    message = f"The model {champion.version} serves again."
    return _served(champion.version, day, _newest_data(store, champion), message)


def _newest_data(store: Store, champion: Tenure) -> date:
    """Return the newest day that a champion has seen; where it is fresh, its own record tells of what was judged."""
    published = load_manifest(store, layout.model_object(champion.version), PublishedModel)
    return published.data_through if published else champion.data_through


def _served(version: str, day: date, through: date, message: str) -> Served:
    age = (day - through).days
    message += f" Its newest data is of {through}, {age} day{'' if age == 1 else 's'} before the run's day."
    return Served(version=version, data_through=through, age_days=age, message=message)


@dataclass(frozen=True)
class _Newer:
    """A model made after the verdict to serve in the place of the one that was judged."""

    kind: str  # fresh or recalibrated
    data_through: date  # newest day that it has seen
    message: str  # a sentence that says what became of it
    checks: tuple[Check, ...]


def _describe_promoted(plan: RunPlan, folder: Path) -> tuple[date, str]:
    """Return the newest day that the promoted model has seen, and say which of the two models serves and why."""
    judged, newer = plan.data_through, _newer(plan, folder)
    if newer is None:
        return judged, "The model that was judged serves."
    if failed := [check.message for check in newer.checks if not check.passed]:
        return judged, f"The model that was judged serves, not a {newer.kind} one. {' '.join(failed)}"
    kept = f"The one that was judged, of data through {judged}, is kept beside it."
    return newer.data_through, f"The {newer.kind} model serves: {newer.message} {kept}"


def _newer(plan: RunPlan, folder: Path) -> _Newer | None:
    """Read what the run made after the verdict; None where the recipe ships what was judged."""
    if (folder / FRESH_FILE).exists():
        first, last = plan.fresh[0].day, plan.fresh[-1].day
        message = f"after the verdict it went on through {first} to {last}, whose labels are young."
        return _Newer("fresh", last, message, FreshPassDocument.read(folder / FRESH_FILE).checks)
    if (folder / RECALIBRATION_FILE).exists():
        made, last = RecalibrationDocument.read(folder / RECALIBRATION_FILE), plan.validate[-1].day
        message = f"after the verdict its level was moved by the labels through {last}, {shift_text(made.shifts)}."
        return _Newer("recalibrated", last, message, made.checks)
    return None
