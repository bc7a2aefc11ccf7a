"""What a run is made of: the accepted days of its plan with their labels, the champion it meets, and its name.

The name is a digest of all of that, of the recipe and of the code: equal inputs give the same run, so it is found and
not made again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.days import DayPlan, plan_days
from models.errors import DataRejectedError
from models.recipe import Recipe
from tasks.champion import Tenure, read_champions
from tasks.ingest import ingest_day, ingested_by
from tasks.label import LabelledDay, label_day
from tasks.landing_zone import LandingZone
from tasks.progress import progress_of
from tasks.store import Store, digest_of
from tasks.validate import load_validated_day, validate_day


@dataclass(frozen=True)
class RunPlan:
    """The inputs of one run. `excluded`: days of the plan that are left out, and why."""

    day: date
    run_id: str
    days: DayPlan
    train: tuple[LabelledDay, ...]
    validate: tuple[LabelledDay, ...]
    excluded: dict[str, str]
    champion: Tenure | None
    recipe_digest: str
    code: str

    @property
    def data_through(self) -> date:
        """The newest event day that training reads."""
        return self.train[-1].day

    @property
    def calibrate(self) -> tuple[LabelledDay, ...]:
        """The training days of which a share of users is kept for calibration."""
        return tuple(day for day in self.train if day.day in self.days.calibrate)

    def days_json(self) -> dict[str, list[str]]:
        """The days that were really used, as `daily --json` shows them."""
        used = {"train": self.train, "calibrate": self.calibrate, "validate": self.validate}
        return {name: [str(day.day) for day in days] for name, days in used.items()}

    def to_json(self) -> dict[str, Any]:
        """What the run's manifest keeps of its inputs."""
        return {
            "run_id": self.run_id,
            "day": str(self.day),
            "labels_as_of": str(self.day),
            "data_through": str(self.data_through),
            "train_through": str(self.data_through),
            "days": self.days_json(),
            "excluded": self.excluded,
            "labels": [day.path for day in (*self.train, *self.validate)],
            "champion": self.champion.version if self.champion else None,
            "recipe_digest": self.recipe_digest,
            "code": self.code,
        }


@task(cache_policy=NO_CACHE)
def catch_up(store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime) -> dict[str, str]:
    """Ingest the days before `day` that its run may read and that nobody has looked at yet; validate them all.

    Days that another recipe read otherwise are ingested again, and other bounds judge anew, save what was accepted by
    hand. Returns the days that could not be ingested, and why: a
    missed night is made good, a bad one is left out.
    """
    problems: dict[str, str] = {}
    earlier_days = plan_days(day, recipe).all_days[:-1]
    with progress_of("ingesting earlier days", "days") as progress:
        for number, earlier in enumerate(earlier_days, start=1):
            try:
                if not ingested_by(store, earlier, recipe):
                    ingest_day.fn(store, landing, recipe, earlier, now)
                validate_day.fn(store, recipe, earlier, now)  # by today's bounds; what they said before is kept
            except DataRejectedError as error:
                problems[str(earlier)] = str(error)
            progress(number, len(earlier_days))
    return problems


@task(cache_policy=NO_CACHE)
def plan_run(store: Store, recipe: Recipe, day: date, problems: dict[str, str], forced_at: datetime | None) -> RunPlan:
    """Choose the accepted days, label them as of `day`, name the run. `forced_at` makes a name of its own.

    Raises DataRejectedError where no accepted day is left to train on or to validate on.
    """
    days = plan_days(day, recipe)
    excluded = _excluded(store, days, problems)
    labels = {
        wanted: label_day.fn(store, recipe, wanted, day)
        for wanted in (*days.train, *days.validate)
        if str(wanted) not in excluded
    }
    excluded |= {str(wanted): "no impressions of that day" for wanted, labelled in labels.items() if not labelled.rows}
    labels = {wanted: labelled for wanted, labelled in labels.items() if labelled.rows}
    train = tuple(labels[wanted] for wanted in days.train if wanted in labels)
    validate = tuple(labels[wanted] for wanted in days.validate if wanted in labels)
    for purpose, wanted, found in (("train", days.train, train), ("validate", days.validate, validate)):
        if not found:
            reasons = "; ".join(f"{d}: {excluded[str(d)]}" for d in wanted[-3:])
            msg = (
                f"run for {day}: expected at least one accepted day to {purpose} on from {wanted[0]} to {wanted[-1]}, "
                f"received none ({reasons}). Ingest these days, or accept them by hand."
            )
            raise DataRejectedError(msg)
    champion = read_champions(store).before(day)
    inputs = [
        [day.path for day in train],
        [day.path for day in validate],
        recipe.digest,
        code_digest(),
        champion.version if champion else None,
        forced_at.isoformat() if forced_at else None,
    ]
    run_id = f"{day}-{digest_of(inputs)[:8]}"
    return RunPlan(day, run_id, days, train, validate, excluded, champion, recipe.digest, code_digest())


@cache
def code_digest() -> str:
    """Version and digest of this software's own source, so that changed code makes a new run."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for file in sorted(path for folder in ("models", "tasks", "flows") for path in (root / folder).rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{version('ctr-retrain')}+{digest.hexdigest()[:12]}"


def _excluded(store: Store, days: DayPlan, problems: dict[str, str]) -> dict[str, str]:
    excluded: dict[str, str] = {}
    for wanted in (*days.train, *days.validate):
        validated = load_validated_day(store, wanted)
        if str(wanted) in problems:
            excluded[str(wanted)] = problems[str(wanted)]
        elif validated is None:
            excluded[str(wanted)] = "not ingested and validated"
        elif not validated.accepted:
            excluded[str(wanted)] = f"rejected: {validated.reason}"
    return excluded
