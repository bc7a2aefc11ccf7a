"""Rules of what a person reads: each answer is printed from its type, whole, and by its own words."""

from datetime import date, timedelta
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from ctr_retrain.flows.cli import COMMANDS
from ctr_retrain.flows.commands.print_days import print_first_recipe, print_ingested, print_landed, print_validated
from ctr_retrain.flows.commands.print_root import (
    print_checks,
    print_garbage,
    print_models,
    print_status,
    print_verified,
)
from ctr_retrain.flows.commands.print_runs import print_backfill, print_demo, print_plan, print_run
from ctr_retrain.flows.commands.terminal import print_fields
from ctr_retrain.models.documents.bundle_documents import ListedModel, ModelsAnswer
from ctr_retrain.models.documents.command_documents import (
    BackfillAnswer,
    BackfillDay,
    BackfillPlan,
    Damage,
    DemoAnswer,
    DemoIncident,
    DoctorAnswer,
    GarbageAnswer,
    InitAnswer,
    LandAnswer,
    MachineCheck,
    PlannedDay,
    RollbackAnswer,
    VerifyAnswer,
)
from ctr_retrain.models.documents.comparison_documents import Criterion, IntervalPart, PolicyOutcome, PolicyTable
from ctr_retrain.models.documents.day_documents import (
    Counts,
    FailedExpectation,
    IngestAnswer,
    RejectedDay,
    ValidationAnswer,
)
from ctr_retrain.models.documents.run_documents import DailyAnswer, RunDocument, RunMetrics
from ctr_retrain.models.incidents.status_answer import (
    DiskSpace,
    NextRun,
    Problem,
    RunAttempt,
    RunSummary,
    ServerState,
    StatusAnswer,
)

DAY = date(2026, 3, 7)
STORED = Path(__file__).parents[1] / "models" / "documents" / "before" / "run.json"
COUNTS = Counts(received=1_234, kept=1_000, duplicates=34, quarantined=200)


@pytest.fixture
def shown(capsys, monkeypatch):
    """Print an answer; return the words that a person reads, without the lines' breaks."""
    monkeypatch.setenv("COLUMNS", "200")

    def of(show, answer):
        show(answer)
        return " ".join(capsys.readouterr().out.split())

    return of


@pytest.fixture
def run():
    return RunDocument.read(STORED)


@pytest.fixture
def answer(run):
    """What `daily` answers with that run."""

    def make(**more):
        return DailyAnswer(**{**dict(run), "not_deployed": None, "recorded": False, **more})

    return make


def test_a_run_opens_with_its_verdict_and_names_what_serves(shown, run):
    words = shown(print_run, run)
    decided = {"promote": "promoted", "hold": "held", "reject": "rejected"}[run.verdict.decision]
    assert words.startswith(f"{run.date} {decided}")
    for expected in (run.verdict.reason, *(check.message for check in run.verdict.checks), run.serves.message):
        assert " ".join(expected.split())[:60] in words
    assert f"run {run.run_id}" in words


def test_a_stored_run_names_its_opponent_and_an_answer_the_champion(shown, run, answer):
    assert "against " in shown(print_run, run)
    words = shown(print_run, answer(champion="v1", recorded=True, not_deployed="the champion is newer"))
    assert "(recorded before)" in words
    assert "not put into service: the champion is newer" in words
    assert "champion v1" in words


def test_a_demonstration_says_where_nothing_was_trained(shown, answer):
    over = DemoIncident(
        kind="logger_down", subject="ad device=ios", level="warning", since=DAY, resolved=DAY, message="Its clicks."
    )
    runs = (answer(metrics=RunMetrics(), report="there"), answer(report="here"))
    words = shown(print_demo, DemoAnswer(runs=runs, incidents=(over,)))
    assert "incident since 2026-03-07, over on 2026-03-07: logger_down ad device=ios: Its clicks." in words
    assert "nothing trained" in words
    assert words.endswith("report: here")


def test_a_backfill_shows_verdicts_and_what_became_of_the_other_days(shown):
    days = (
        BackfillDay(date=DAY, outcome="promote", run_id="r1"),
        BackfillDay(date=DAY, outcome="rejected"),
        BackfillDay(date=DAY, outcome="data rejected", reason="nothing landed"),
    )
    words = shown(print_backfill, BackfillAnswer(days=days, champion=None))
    assert "2026-03-07 promoted r1 2026-03-07 rejected 2026-03-07 data rejected nothing landed" in words


def test_a_plan_shows_why_each_day_would_run_and_how_long_it_takes(shown):
    days = (
        PlannedDay(date=DAY, reason="finished", trains=False, about_seconds=0),
        PlannedDay(
            date=DAY,
            reason="restated",
            detail="2026-03-05 of its window",
            trains=True,
            about_seconds=3720,
            champion="2026-03-01-ab",
            champion_may_follow=DAY,
        ),
        PlannedDay(date=DAY, reason="missing", trains=False, about_seconds=None),
    )
    plan = BackfillPlan(retrain="last", shadow=False, start=DAY, end=DAY, days=days, about_seconds=None)
    words = shown(print_plan, plan)
    assert "2026-03-07 finished nothing 0 s" in words
    assert "2026-03-07 restated 2026-03-05 of its window all stages" in words
    assert "2026-03-01-ab, or what 2026-03-07 brings 1 h 2 min" in words
    assert words.endswith("2 of 3 days would run, about - (no night tells yet)")
    compared = plan.model_copy(update={"shadow": True, "about_seconds": 90, "policies_seconds": 12})
    assert shown(print_plan, compared).endswith("about 1 min 30 s, of which about 12 s for the table of policies")


def test_policies_are_shown_side_by_side_below_the_days_or_the_reason_why_not(shown):
    over = IntervalPart(value=0.5, low=-0.25, high=1.25)
    given = {"promotions": 3, "worse_days": 2, "surely_worse_days": 1, "champions": ()}
    policies = (
        PolicyOutcome(name="best_auc", cost=-1234.5, cost_per_1000=-7.5, over_gate=over, **given),
        PolicyOutcome(name="gate", cost=-1300, cost_per_1000=-8, over_gate=None, **given),
    )
    table = PolicyTable(message="What they say.", currency="EUR", margin=0.5, policies=policies, left_out={DAY: "torn"})
    answer = BackfillAnswer(days=(BackfillDay(date=DAY, outcome="hold"),), champion=None, policies=table)
    words = shown(print_backfill, answer)
    assert "policy per 1,000 over the gate EUR in all promoted worse" in words
    assert "better AUC −7.50 +0.50 (−0.25 to +1.25) −1,234.50 3 2 (1)" in words
    assert "the gate −8.00 −1,300.00 3 2 (1)" in words
    assert "costs over 0.5 more per 1,000" in words
    assert words.endswith("left out 2026-03-07: torn What they say.")
    none = table.model_copy(update={"policies": (), "left_out": {}, "message": "No policies are compared: too few."})
    words = shown(print_backfill, answer.model_copy(update={"policies": none}))
    assert "per 1,000" not in words
    assert words.endswith("No policies are compared: too few.")


def test_a_landed_file_is_shown_by_day_with_the_outcomes_that_it_had(shown):
    landed = LandAnswer(landing="there", rows={DAY: 1_200}, outcomes={DAY: 7}, malformed=2)
    assert "2026-03-07 1,200 7 malformed 2 lines landed too" in shown(print_landed, landed)


def test_an_ingested_day_is_counted_and_its_unreadable_files_are_named(shown):
    day = IngestAnswer(
        date=DAY, path="p", impressions=COUNTS, outcomes=COUNTS, unreadable={"a.csv": "torn"}, unknown_columns=()
    )
    words = shown(print_ingested, day)
    assert "impressions 1,234 1,000 34 200 outcomes 1,234 1,000 34 200 unreadable a.csv: torn" in words
    assert "warning a leak" in shown(print_ingested, day.model_copy(update={"known_afterwards": {"x": "a leak"}}))


def test_a_day_accepted_by_hand_says_by_whom_why_and_what_it_failed(shown):
    failed = (FailedExpectation(name="rows", expected="at least 5", received="3"),)
    day = ValidationAnswer(
        passed=False, failed=failed, evaluated=9, accepted=True, accepted_by="ana", date=DAY, reason="a holiday"
    )
    assert shown(print_validated, day) == (
        "2026-03-07 accepted by ana: a holiday; 8 of 9 expectations met ✗ rows: expected at least 5, received 3"
    )


def test_a_new_root_has_none_of_what_status_shows(shown):
    nothing = StatusAnswer(
        root="there",
        recipe=None,
        champion=None,
        champion_data_through=None,
        newest_day=None,
        champion_data_age_days=None,
        rejected_days=(),
        runs=(),
    )
    assert shown(print_status, nothing) == (
        "root there recipe none champion none champion data through none newest day none champion data age none "
        "under way none next run none disk none log none Prefect server none is named (PREFECT_API_URL)"
    )
    run = RunSummary(date=DAY, run_id="r", alerts=(), report=None, decision="hold", reason="few rows")
    used = {
        "champion_data_through": DAY,
        "champion_data_age_days": 1,
        "champion_calendar_age_days": 12,
        "rejected_days": (RejectedDay(date=DAY, reason="failed rows"),),
        "runs": (run,),
    }
    words = shown(print_status, nothing.model_copy(update=used))
    assert "champion data through 2026-03-07, 12 days ago" in words
    assert "champion data age 1 day under way none next run" in words
    assert "2026-03-07 data rejected failed rows" in words
    assert "2026-03-07 held few rows" in words


def test_a_status_opens_with_what_is_wrong_and_what_to_type_and_ends_with_how_the_nights_went(shown):
    def attempt(day, state, **told):
        given = {"began": "t", "ended": None, "host": "h", "process": 1, "decision": None, "error": "", "seconds": None}
        return RunAttempt(**{**given, "date": day, "state": state, "stages": {}, "log": "/var/log/nights", **told})

    run = RunSummary(date=DAY, run_id="r", alerts=(), report=None, decision="promote", reason="it was better")
    answer = StatusAnswer(
        root="there",
        recipe="shop",
        champion="r",
        champion_data_through=DAY,
        newest_day=DAY,
        champion_data_age_days=0,
        rejected_days=(),
        runs=(run,),
        attempts=(
            attempt(DAY + timedelta(days=2), "running"),
            attempt(DAY + timedelta(days=1), "failed", error="StorageError: full"),
            attempt(DAY, "done"),
        ),
        problems=(Problem(message="The run for 2026-03-08 failed.", command="ctr-retrain daily --date 2026-03-08"),),
        next_run=NextRun(at="2026-03-11T04:00:00+00:00", day=DAY + timedelta(days=3)),
        disk=DiskSpace(folder="/data", free_gib=12.3, low=False),
        server=ServerState(address="http://p", answers=True, message="the Prefect server http://p answers"),
    )
    words = shown(print_status, answer)
    assert words.startswith("The run for 2026-03-08 failed. type: ctr-retrain daily --date 2026-03-08 root there")
    assert "next run 2026-03-11T04:00:00+00:00, for 2026-03-10, where `serve` runs disk 12.3 GiB left at /data" in words
    assert "log /var/log/nights Prefect server the Prefect server http://p answers" in words
    assert words.endswith(
        "2026-03-09 running 2026-03-08 failed StorageError: full 2026-03-07 done promoted it was better"
    )


def test_models_are_listed_with_their_state_and_cost(shown):
    model = ListedModel(
        version="v", date=DAY, data_through=DAY, decision="reject", state="never served", cost_per_1000=None
    )
    assert "v 2026-03-07 rejected never served -" in shown(print_models, ModelsAnswer(models=(model,)))
    assert shown(print_models, ModelsAnswer(models=())) == "no models yet"


def test_what_gc_would_remove_is_told_from_what_it_removed(shown):
    report = GarbageAnswer(root="r", dry_run=True, removed=("days/a",), kept=3, checkpoints=())
    assert shown(print_garbage, report) == "would remove days/a would remove 1 objects; 3 stay"
    done = report.model_copy(update={"dry_run": False})
    assert shown(print_garbage, done) == "removed days/a removed 1 objects; 3 stay"


def test_each_check_of_the_machine_is_marked(shown):
    checks = (
        MachineCheck(name="disk", passed=True, message="9 GiB"),
        MachineCheck(name="x", passed=False, message="y"),
    )
    assert shown(print_checks, DoctorAnswer(checks=checks)) == "✓ disk: 9 GiB ✗ x: y"


def test_plain_values_are_printed_a_line_each_and_their_brackets_are_kept(shown):
    answer = RollbackAnswer(champion="a", barred="b", reason="[red] clicks")
    assert shown(print_fields, answer) == "champion a barred b reason [red] clicks"


def test_the_criteria_of_the_command_line_are_those_of_comparisons():
    assert get_args(get_type_hints(COMMANDS["compare"])["criterion"]) == get_args(Criterion)


def test_what_is_damaged_is_printed_with_how_much_was_read(shown):
    damage = Damage(path="models/[a]", message="serving/x: expected 3 bytes, received 5")
    answer = VerifyAnswer(root="r", refs=4, objects=3, files=12, size=34_567, damaged=(damage,))
    assert shown(print_verified, answer) == (
        "✗ models/[a]: serving/x: expected 3 bytes, received 5 "
        "4 refs, 3 objects, 12 files, 34,567 bytes read; 1 damaged"
    )


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b2J", "\u202e", "\x07"])
def test_nothing_in_a_line_or_a_table_acts_on_the_terminal(shown, hostile):
    reason = f"column {hostile}device of https://user:SECRET@host"
    run = RunSummary(date=DAY, run_id="r", decision="hold", reason=reason, alerts=(), report=None)
    answer = StatusAnswer(
        root="r",
        recipe="demo",
        champion=None,
        champion_data_through=None,
        newest_day=DAY,
        champion_data_age_days=None,
        yardstick=None,
        rejected_days=(RejectedDay(date=DAY, reason=reason),),
        runs=(run,),
    )
    words = shown(print_status, answer)
    escaped = hostile.encode("unicode_escape").decode()
    assert words.count(f"column {escaped}device of https://***@host") == 2
    assert hostile not in words


def test_a_first_recipe_shows_its_first_verdict_where_one_was_asked_for(shown):
    made = InitAnswer(
        recipe="shop.toml", rows=4_800, time="ts (iso)", event_id="id", user_id="u", campaign_id=None,
        channels=("ads",), outcomes={"click": "id"}, seen_rate=0.1, break_even_rate=0.05, first_verdict_day=DAY,
        missing_days=0, unsure=(), leaks={}, left_out={}, next_commands=("ctr-retrain doctor",),
    )  # fmt: skip
    assert "promoted" not in shown(print_first_recipe, made)
    waiting = made.model_copy(update={"verdict_reason": "2 more days have to land before it"})
    assert "2026-03-07 not run: 2 more days have to land before it" in shown(print_first_recipe, waiting)
    judged = made.model_copy(update={"verdict": "promote", "verdict_reason": "every check [passed]"})
    assert "2026-03-07 promoted: every check [passed] recipe shop.toml; next:" in shown(print_first_recipe, judged)
