"""Choose which of two models a promoted bundle serves: the fresh one where every check holds, else its evaluated twin.

The fresh model has gone on through the newest days; its evaluated twin is the model that was judged, as it was then.

CHALLENGER/serving/              what serves
CHALLENGER/evaluated/serving/    what was judged, where that is another
CHALLENGER/bundle.json           data_through of what serves, evaluated_data_through of what was judged
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from ctr_retrain.models.documents.run_documents import Served
from ctr_retrain.models.documents.verdict_documents import Check, FreshPassDocument, Verdict
from ctr_retrain.tasks.deploy.publish_model import check_serving
from ctr_retrain.tasks.execution.model_process import Compute, Models, ProgressOf
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
    SERVING,
)
from ctr_retrain.tasks.store.protocol import Store


def ship_challenger(run: Run, verdict: Verdict, models: Models) -> None:
    """Let a fresh model take the place of a promoted challenger, where the recipe asks for one and all checks hold.

    The challenger stays beside it: the gate scores it on days that the fresh one has seen. fresh.json says what was
    checked.
    """
    folder, days = run.folder, run.plan.fresh
    if verdict.decision != "promote" or not days:
        return
    checks = [*models.call(_run_fresh_pass, run, models.compute)]
    if all(check.passed for check in checks):
        # The check of the challenger says nothing of this bundle: its graph was saved anew.
        checks.append(check_serving(run, models, FRESH, FRESH_SCORES_FILE))
    if all(check.passed for check in checks):
        _replace_by_fresh(folder)
    # Either its files have moved into the challenger's bundle, or a check failed and nobody is to serve it.
    shutil.rmtree(folder / FRESH, ignore_errors=True)
    (folder / FRESH_SCORES_FILE).unlink(missing_ok=True)
    document = FreshPassDocument(checks=tuple(checks), days=tuple(day.day for day in days))
    document.write(folder / FRESH_FILE)


def _run_fresh_pass(progress_of: ProgressOf, run: Run, compute: Compute) -> tuple[Check, ...]:
    """Run the fresh pass in the process of the models, which alone imports TensorFlow."""
    from ctr_retrain.tasks.train.fresh_pass import run_fresh_pass  # noqa: PLC0415 - TensorFlow: not for the flow

    return run_fresh_pass(progress_of, run, compute)


def _replace_by_fresh(folder: Path) -> None:
    """Let the challenger's bundle serve the fresh model, and keep the one that was judged beside it."""
    # Later gates score the judged one on days that the fresh one has seen.
    bundle, fresh = folder / CHALLENGER, folder / FRESH
    (bundle / EVALUATED).parent.mkdir()
    (bundle / SERVING).rename(bundle / EVALUATED)
    (fresh / SERVING).rename(bundle / SERVING)
    (fresh / BUNDLE_FILE).replace(bundle / BUNDLE_FILE)


def describe_served(store: Store, plan: RunPlan, verdict: Verdict, folder: Path) -> Served:
    """Describe the model that serves after this run, the age of its newest data on the run's day, and the reason.

    A promoted challenger, if nothing refuses it the champion's place; else the champion, where there is one.
    """
    if verdict.decision == "promote":
        version = plan.run_id
        through, message = _describe_promoted(plan, folder)
    elif plan.champion:
        version = plan.champion.version
        # Of the model that serves, which may be fresh; the champion's own record tells what was judged.
        manifest = store.manifest(layout.model_object(version)) or {}
        through = date.fromisoformat(seen) if (seen := manifest.get("data_through")) else plan.champion.data_through
        message = f"The champion {version} stays in service."
    else:
        return Served(version=None, data_through=None, age_days=None, message="Nothing is in service.")
    age = (plan.day - through).days
    message += f" Its newest data is of {through}, {age} day{'' if age == 1 else 's'} before the run's day."
    return Served(version=version, data_through=through, age_days=age, message=message)


def _describe_promoted(plan: RunPlan, folder: Path) -> tuple[date, str]:
    """Return the newest day that the promoted model has seen, and say which of the two models serves and why."""
    judged = plan.data_through
    if not (folder / FRESH_FILE).exists():
        return judged, "The model that was judged serves."
    checks = FreshPassDocument.read(folder / FRESH_FILE).checks
    if failed := [check.message for check in checks if not check.passed]:
        return judged, f"The model that was judged serves, not a fresh one. {' '.join(failed)}"
    first, last = plan.fresh[0].day, plan.fresh[-1].day
    return last, (
        f"The fresh model serves: after the verdict it went on through {first} to {last}, whose labels are young. The "
        f"one that was judged, of data through {judged}, is kept beside it."
    )
