"""Roles of labelled rows: to train on, to stop by, to calibrate by, to validate on. One query each, for its stage."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from ctr_retrain.models.recipe.column_names import label_column
from ctr_retrain.models.recipe.head_section import UNKNOWN, final_channels
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.label.labelled_rows import labelled_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.label.label_day import LabelledDay
    from ctr_retrain.tasks.plan.plan_run import RunPlan
    from ctr_retrain.tasks.plan.run import Run
    from ctr_retrain.tasks.store.protocol import Store

    Shares = tuple[float | None, ...]  # F in each of 24 hours

# The gate's intervals resample users. Cells of 256 buckets of users, with campaigns and days, make that cheap.
USER_BUCKETS = 256
GUARD_LABEL = "_guard_"  # before a guarded kind, in the name of its column
HEAD_LABEL = "_head_"  # before a head's kind, in the name of its column
SAMPLE_ROWS = 1000  # of the validation days, for the serving check
# Roles of the training window's rows. CALIBRATE (the calibration slice) and STOP (for early stopping) are users of its
# newest days, kept out of training; TRAINED is what a warm run's champion has been trained on, or might have been;
# LEFT_OUT, after the cut, which is the window's last day, are rows too young to say anything.
TRAIN, CALIBRATE, STOP, TRAINED, LEFT_OUT = range(5)


def training_rows(run: Run) -> str:
    """Return the query of the rows to train on, with `head_labels` and `day_index`, their day's place in plan.train."""

    def more(day: date) -> str:
        heads = "".join(f", {label} AS {name}" for name, label in head_labels(run.recipe, run.plan, day).items())
        return f"{_role_of(run.plan, run.recipe, day)} AS kept_out{heads}"

    rows = _union(run.store, run.plan.train, more)
    return f"SELECT * EXCLUDE (kept_out) FROM ({rows}) WHERE kept_out = {TRAIN}"


def calibration_rows(run: Run) -> str:
    """Return the query of the calibration slice's rows, with `day_index`, their day's place in plan.calibrate.

    There must be such days.
    """
    plan = run.plan
    rows = _union(run.store, plan.calibrate, lambda day: f"{_role_of(plan, run.recipe, day)} AS kept_out")
    return f"SELECT * EXCLUDE (kept_out) FROM ({rows}) WHERE kept_out = {CALIBRATE}"


def validation_rows(run: Run) -> str:
    """Return the query of the validation days' rows: with labels of heads and guarded kinds, and `day_index`.

    And with `user_bucket`, one of 256 buckets of users (of events where there are none).
    """

    def more(day: date) -> str:
        labels = head_labels(run.recipe, run.plan, day) | guard_labels(run.recipe, run.plan, day)
        return f"{_user_bucket(run.recipe)}{''.join(f', {label} AS {name}' for name, label in labels.items())}"

    return _union(run.store, run.plan.validate, more)


def judged_rows_of(store: Store, recipe: Recipe, day: LabelledDay) -> str:
    """Return the query of the columns that judging reads of a validation day, in the order of its encoded rows.

    Columns are `label`, `channel`, `user_bucket`, `campaign` and, where the recipe has one, `value`.
    """
    campaign = "campaign_id" if recipe.landing.columns.campaign_id else "''"
    value = ", value" if recipe.landing.columns.value else ""
    columns = f"label::UTINYINT AS label, channel, {_user_bucket(recipe)}, {campaign} AS campaign{value}"
    return f"SELECT {columns} FROM ({labelled_rows(store, day)})"


def serving_sample(run: Run) -> str:
    """Return the query of the rows that the serving check scores, in an order that is always the same."""
    return f"SELECT * FROM ({validation_rows(run)}) ORDER BY day_index, event_id LIMIT {SAMPLE_ROWS}"


def labels_of(run: Run, day: LabelledDay, shares: Mapping[str, Shares] | None = None) -> str:
    """Return the query of the columns that training reads of a day beside its encoded rows, in their order.

    Columns are `label`, `confidence`, `maturity`, `slice` (a row's role) and `head_labels`, UNKNOWN where NULL. shares:
    where the day's labels are young, their maturity by channel and hour; rows for which it is not known are LEFT_OUT.
    Without shares all labels are final.
    """
    recipe, plan = run.recipe, run.plan
    confidence = "coalesce(confidence, 1.0)::FLOAT" if recipe.landing.columns.confidence else "1.0::FLOAT"
    maturity, place = "1.0::FLOAT", _role_of(plan, recipe, day.day)
    if shares is not None:
        cases = " ".join(
            f"WHEN {duck.text(name)} THEN [{', '.join(map(_number, hours))}]" for name, hours in shares.items()
        )
        maturity = f"(CASE channel {cases} END)[hour(ts) + 1]::FLOAT"
        place = f"(CASE WHEN {maturity} IS NULL THEN {LEFT_OUT} ELSE {place} END)::UTINYINT"
    columns = f"label::UTINYINT AS label, {confidence} AS confidence, coalesce({maturity}, 0) AS maturity"
    columns += f", {place} AS slice"
    for name, head in head_labels(recipe, plan, day.day).items():
        columns += f", coalesce({head}, {UNKNOWN})::UTINYINT AS {name}"
    return f"SELECT {columns} FROM ({labelled_rows(run.store, day)})"


def head_labels(recipe: Recipe, plan: RunPlan, day: date) -> dict[str, str]:
    """Return for each head the column of its label and its SQL on a day: NULL where it is unknown or not final."""
    found = {}
    for head in recipe.training.heads:
        final = final_channels(head, recipe.final_ages, (plan.day - day).days)
        label = " * ".join(duck.name(label_column(kind)) for kind in (head.kind, head.after) if kind)
        known = f"channel IN ({', '.join(map(duck.text, final))})" if final else "false"
        found[duck.name(f"{HEAD_LABEL}{head.kind}")] = f"(CASE WHEN {known} THEN {label} END)::UTINYINT"
    return found


def guard_labels(recipe: Recipe, plan: RunPlan, day: date) -> dict[str, str]:
    """Return for each guarded kind the column of its outcome and its SQL on a day: NULL where it isn't final yet."""
    age = (plan.day - day).days
    found = {}
    for kind in recipe.gate.guardrails:
        final = [name for name, ages in recipe.final_ages.items() if kind in ages and ages[kind] <= age]
        known = f"channel IN ({', '.join(map(duck.text, final))})" if final else "false"
        found[duck.name(f"{GUARD_LABEL}{kind}")] = (
            f"(CASE WHEN {known} THEN {duck.name(label_column(kind))} END)::UTINYINT"
        )
    return found


def _role_of(plan: RunPlan, recipe: Recipe, day: date) -> str:
    """Return the SQL of a row's role on a day of the training window, or after it; a salted hash divides the users.

    The salt is the row's day. So a user who is kept out of one day is trained on by others: the calibration slice holds
    known and unknown users as the served days do. And the rows kept out of a day are the same in each run, so no
    champion that a run starts from has been trained on them.
    """
    young = day > plan.days.cut
    trained = day in {earlier.day for earlier in plan.start.earlier}
    otherwise = TRAINED if trained else TRAIN
    if day not in {kept.day for kept in plan.calibrate} and not young:
        return f"{otherwise}::UTINYINT"
    training = recipe.training
    # Users of the calibration slice are kept out of the days after the cut too: a model that is shipped fresh is
    # checked on rows that it never saw.
    calibrate = round(training.calibration_share * 10_000)
    stop = calibrate + (round(training.stopping_share * 10_000) if training.epochs > 1 and not young else 0)
    place = f"hash({_user_or_event(recipe)} || {duck.text(f'@{day}')}) % 10000"
    stopping = TRAINED if trained else STOP
    cases = f"WHEN {place} < {calibrate} THEN {CALIBRATE} WHEN {place} < {stop} THEN {stopping}"
    return f"(CASE {cases} ELSE {otherwise} END)::UTINYINT"


def _union(store: Store, days: Iterable[LabelledDay], extra: Callable[[date], str]) -> str:
    """Return the query of the rows of several days, with `day_index` and the columns that `extra` gives a day."""
    return " UNION ALL BY NAME ".join(
        f"SELECT *, {index}::SMALLINT AS day_index, {extra(day.day)} FROM ({labelled_rows(store, day)})"
        for index, day in enumerate(days)
    )


def _user_bucket(recipe: Recipe) -> str:
    """Return the SQL of a row's `user_bucket`."""
    return f"(hash({_user_or_event(recipe)}) % {USER_BUCKETS})::UTINYINT AS user_bucket"


def _number(value: float | None) -> str:
    """Return a number as SQL, to its last digit."""
    return "NULL::DOUBLE" if value is None else f"{value!r}::DOUBLE"


def _user_or_event(recipe: Recipe) -> str:
    """Return the column whose equal values stay in one role: the user's or, where a recipe has none, the event's."""
    return "user_id" if recipe.landing.columns.user_id else "event_id"
