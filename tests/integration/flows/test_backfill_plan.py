"""Rules of a backfill's plan: it says what an oracle says, and a killed backfill ends as an undisturbed one."""

import errno
import gzip
import json
import os
import random
import shutil
import signal
import time
from datetime import timedelta

import pytest

from ctr_retrain.flows.backfill import make_plan
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.flows.stages import write_report as real_report
from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.documents.ref_documents import AcceptedRef, DayRef, RunsRef
from ctr_retrain.models.errors import BusyError
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.ingest.ingest_day import ingest_day as real_ingest
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.protocol import load_ref
from ctr_retrain.tasks.validate.ingest_and_validate import result_of_error
from tests.support.counts import draws
from tests.support.flow_answers import backfill
from tests.support.small_world import (
    FIRST_DAY,
    NEXT_DAY,
    RUN_DAY,
    command,
    start_command,
    write_recipe,
)

DAYS, KILLS = draws(5, 60), draws(1, 5)
LAST = FIRST_DAY + timedelta(days=DAYS - 1)


def plan_of(root, landing, recipe, first, last, retrain="none"):
    """The plan's reasons by day."""
    settings = load_settings(recipe=recipe, root=str(root), landing=str(landing))
    made = make_plan(settings, load_recipe(recipe), day_range(first, last), retrain, shadow=False)
    return {one.date: one for one in made.days}


def outcome_file(landing, day):
    return next((landing / "outcomes" / f"dt={day}").iterdir())


def restate(landing, day):
    """Take some outcomes back, as a corrected export does."""
    file = outcome_file(landing, day)
    lines = gzip.decompress(file.read_bytes()).splitlines()
    file.write_bytes(gzip.compress(b"\n".join(lines[:-2]) + b"\n"))


def content(landing, day):
    """What an oracle goes by: the bytes of all that landed on a day."""
    return {str(path): path.read_bytes() for path in landing.glob(f"*/dt={day}/*")}


def state(root):
    """What a root holds of each day, but times: objects with their files' digests, and decisions."""
    store, found = LocalStore(root), {}
    for day in day_range(FIRST_DAY, LAST):
        landed = load_ref(store, layout.day_ref(day), DayRef).content
        decision = load_ref(store, layout.accepted_ref(day), AcceptedRef).content
        files = store.manifest(layout.day_object(day, landed.current))["files"]
        found[day] = (landed.current, landed.marks, decision.accepted, decision.reason, decision.validation, files)
    return found


def killed_backfill(arguments, root, chance):
    """Start a backfill of its own process group and kill it once it has finished some more days, or by the end."""
    refs = chance.choice(["days", "accepted"])  # while days are ingested, or while they are validated
    before = len(LocalStore(root).list_refs(refs))
    process = start_command(*arguments, own_group=True)
    wanted = before + chance.randint(1, 3)
    while process.poll() is None and len(LocalStore(root).list_refs(refs)) < wanted:
        time.sleep(0.02)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_plan_says_what_an_oracle_says_and_a_killed_backfill_ends_as_an_undisturbed_one(great_expectations, tmp_path):
    """Days are restated and torn between the kills; the oracle knows the bytes that each finished day was made of."""
    chance = random.Random(7)  # noqa: S311 - which days, not a secret
    simulate(World(seed=3, rows_per_day=1500, ad_ctr=0.06, push_ctr=0.05), FIRST_DAY, DAYS, tmp_path)
    landing, root, recipe = tmp_path / "landing", tmp_path / "root", write_recipe(tmp_path, min_rows=500)
    days = day_range(FIRST_DAY, LAST)
    torn = chance.sample(days, draws(1, 2))
    whole = {day: outcome_file(landing, day).read_bytes() for day in torn}
    for day in torn:
        outcome_file(landing, day).write_bytes(whole[day][: len(whole[day]) // 2])
    places = ["--recipe", recipe, "--root", root, "--landing", landing]
    arguments = [*places, "backfill", "--start", FIRST_DAY, "--end", LAST, "--retrain", "none"]
    for _ in range(KILLS):
        killed_backfill(arguments, root, chance)
    accepted = {day: load_ref(LocalStore(root), layout.accepted_ref(day), AcceptedRef) for day in days}
    read = {day: content(landing, day) for day in days if load_ref(LocalStore(root), layout.day_ref(day), DayRef)}

    restated = chance.sample(sorted(read), min(len(read), draws(1, 3)))
    for day in restated:
        restate(landing, day)
    oracle = {
        day: "missing"
        if day not in read
        else "restated"
        if content(landing, day) != read[day]
        else "missing"
        if not accepted[day]
        else "finished"
        if accepted[day].content.accepted
        else "failed"
        for day in days
    }
    plan = tmp_path / "plan.json"
    made = command(*arguments, "--plan", "--json")
    plan.write_text(made.stdout, encoding="utf-8")
    assert {entry["date"]: entry["reason"] for entry in made.document["days"]} == {
        str(day): reason for day, reason in oracle.items()
    }

    answer = command(*places, "backfill", "--from-plan", plan, "--newest-first", "--days-at-once", 1, "--json")
    ran = {entry["date"] for entry in answer.document["days"] if entry["outcome"] != "skipped"}
    assert ran == {str(day) for day, reason in oracle.items() if reason != "finished"}
    for day in torn:
        outcome_file(landing, day).write_bytes(whole[day])
    backfill(FIRST_DAY, LAST, "none", recipe, str(root), str(landing), only="restated")
    assert {one.reason for one in plan_of(root, landing, recipe, FIRST_DAY, LAST).values()} == {"finished"}

    undisturbed = tmp_path / "undisturbed"
    backfill(FIRST_DAY, LAST, "none", recipe, str(undisturbed), str(landing))
    assert state(root) == state(undisturbed)


def test_a_finished_run_is_restated_with_a_day_of_its_window_and_others_are_missing(
    root, small_landing, recipe_file, tmp_path
):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    before = RUN_DAY - timedelta(days=1)
    plan = plan_of(root, landing, recipe_file, before, NEXT_DAY, "each")
    assert [one.reason for one in plan.values()] == ["missing", "finished", "missing"]
    assert (plan[RUN_DAY].about_seconds, plan[before].about_seconds > 0, plan[NEXT_DAY].about_seconds > 0) == (0, 1, 1)
    restate(landing, before)
    plan = plan_of(root, landing, recipe_file, before, NEXT_DAY, "each")
    assert (plan[RUN_DAY].reason, plan[RUN_DAY].detail) == ("restated", f"{before} of its window")
    # Read anew by then, as by another night: the run is of before all the same.
    backfill(before, before, "none", recipe_file, str(root), str(landing))
    plan = plan_of(root, landing, recipe_file, RUN_DAY, RUN_DAY, "each")
    assert (plan[RUN_DAY].reason, plan[RUN_DAY].detail) == ("restated", f"{before} was ingested anew since")
    changed = tmp_path / "other.toml"
    text = recipe_file.read_text(encoding="utf-8")
    changed.write_text(text.replace("[training]", '[[features]]\nname = "device"\nkind = "categorical"\n[training]'))
    assert plan_of(root, landing, changed, RUN_DAY, RUN_DAY, "each")[RUN_DAY].reason == "other columns"


def test_any_error_of_one_day_is_that_days(
    great_expectations, small_landing, recipe_file, tmp_path, monkeypatch, caplog
):
    bad = FIRST_DAY + timedelta(days=1)

    def ingest_day(store, landing, recipe, day, now):
        if day == bad:
            msg = "no such thing"
            raise RuntimeError(msg)
        return real_ingest(store, landing, recipe, day, now)

    monkeypatch.setattr("ctr_retrain.tasks.validate.ingest_and_validate.ingest_day", ingest_day)
    arguments = (FIRST_DAY, FIRST_DAY + timedelta(days=2), "none", recipe_file, str(tmp_path / "r"), str(small_landing))
    days = backfill(*arguments)["days"]
    assert [day["outcome"] for day in days] == ["ingested", "failed", "ingested"]
    assert days[1]["reason"] == "RuntimeError: no such thing"
    (line,) = [record for record in caplog.records if record.getMessage().startswith(f"{bad} failed")]
    assert ("its traceback is in /" in line.getMessage(), line.exc_info) == (True, None)
    monkeypatch.undo()
    # Made good by a second one, which leaves out what isn't asked for.
    assert [day["outcome"] for day in backfill(*arguments, only="failed")["days"]] == ["skipped"] * 3
    assert [day["outcome"] for day in backfill(*arguments, only="missing")["days"]] == [
        "skipped",
        "ingested",
        "skipped",
    ]


def test_a_fault_of_the_machine_at_one_days_run_is_that_days_and_a_second_backfill_makes_it_good(
    great_expectations, small_landing, tmp_path, monkeypatch
):
    bad, recipe = NEXT_DAY, write_recipe(tmp_path, min_positives=1_000_000)  # a verdict without training
    arguments = (RUN_DAY, NEXT_DAY + timedelta(days=1), "each", recipe, str(tmp_path / "root"), str(small_landing))

    def write_report(run):
        if run.plan.day == bad:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_report(run)

    monkeypatch.setattr("ctr_retrain.flows.daily.write_report", write_report)
    days = backfill(*arguments)["days"]
    assert [day["outcome"] for day in days] == ["hold", "failed", "hold"]
    assert "No space left on device" in days[1]["reason"]
    store = LocalStore(tmp_path / "root")
    assert [load_ref(store, layout.run_ref(day), RunsRef) is None for day in day_range(RUN_DAY, bad)] == [False, True]
    monkeypatch.undo()
    settings = load_settings(recipe=recipe, root=str(tmp_path / "root"), landing=str(small_landing))
    planned = make_plan(settings, load_recipe(recipe), day_range(RUN_DAY, bad), "each", shadow=False)
    assert [day.reason for day in planned.days] == ["finished", "failed"]
    assert [day["outcome"] for day in backfill(*arguments)["days"]] == ["skipped", "hold", "skipped"]


def test_a_root_that_was_lost_ends_the_whole_backfill(store, day, monkeypatch):
    lost = BusyError("another run has the root")

    def read_ref(_):
        raise lost

    assert result_of_error(store, day, BusyError("files changed")).outcome == "failed"
    monkeypatch.setattr(store, "read_ref", read_ref)
    with pytest.raises(BusyError, match="another run has the root"):
        result_of_error(store, day, BusyError("a swap failed"))


@pytest.mark.parametrize("text", ["{}", "[]", "no json", json.dumps({"retrain": "each", "days": []})])
def test_a_plan_that_is_none_is_refused(text, tmp_path, small_landing, recipe_file):
    plan = tmp_path / "plan.json"
    plan.write_text(text, encoding="utf-8")
    places = ["--recipe", recipe_file, "--root", tmp_path / "root", "--landing", small_landing]
    refused = command(*places, "backfill", "--from-plan", plan)
    assert refused.status == 2
    assert f"--from-plan {plan}: expected" in refused.stderr
