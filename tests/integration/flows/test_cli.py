"""Rules of the command line: its commands and options, one document on stdout, exit statuses that mean something."""

import fcntl
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import assert_failed, at, run
from tests.support.processes import finish, start_with
from tests.support.repository import REPOSITORY
from tests.support.small_world import FIRST_DAY, NEXT_DAY, RUN_DAY, command, write_recipe
from tests.support.stored import stored_names

COMMANDS = {
    "demo": {"--folder"},
    "simulate": {"--start", "--days", "--rows-per-day", "--out", "--seed"},
    "init": {"--from", "--outcomes", "--cost-send", "--value-click", "--currency", "--out", "--check"},
    "land": {"--from", "--outcomes"},
    "gc": {"--dry-run", "--wait"},
    "ingest": {"--date", "--wait"},
    "validate": {"--date", "--wait"},
    "accept": {"--date", "--reason"},
    "alerts": set(),
    "daily": {"--date", "--force", "--wait"},
    "backfill": {
        *("--start", "--end", "--retrain", "--shadow", "--wait"),
        *("--plan", "--from-plan", "--only", "--newest-first", "--days-at-once"),
    },
    "compare": {
        *("--date", "--days", "--seeds", "--strategies", "--half-lives", "--class-powers", "--ages", "--criterion"),
        *("--force", "--wait"),
    },
    "score": {"--input", "--output", "--model", "--max-unreadable"},
    "models": set(),
    "status": set(),
    "explain": set(),
    "promote": {"--reason"},
    "rollback": {"--reason"},
    "serve": {"--cron", "--timezone"},
    "doctor": set(),
    "verify": set(),
}


@pytest.fixture
def there(root, small_landing, recipe_file):
    """The command line over a copy of the first run's root."""
    return at(root, small_landing, recipe_file)


@pytest.fixture
def new_root(tmp_path):
    """A root that a recipe has claimed, and under which nothing else stands."""
    claim_root(LocalStore(tmp_path / "root"), "small")
    return tmp_path / "root"


@pytest.fixture(scope="module")
def held(first_run, small_landing, tmp_path_factory):
    """A run whose challenger was held for lack of rows, on a copy of the first run's root."""
    folder = tmp_path_factory.mktemp("held")
    root, recipe = shutil.copytree(first_run.root, folder / "root"), write_recipe(folder)
    hygiene, gate = recipe.read_text(encoding="utf-8").split("[gate]")
    recipe.write_text(f"{hygiene}[gate]{gate.replace('min_rows = 1000', 'min_rows = 1_000_000')}", encoding="utf-8")
    answer = at(root, small_landing, recipe)("daily", "--date", NEXT_DAY, "--json")
    return SimpleNamespace(root=root, recipe=recipe, answer=answer, first=first_run.document["run_id"])


def without_outcomes(landing, folder, day):
    """A copy of the landing zone in which nobody clicked on `day`."""
    copy = shutil.copytree(landing, folder / "landing")
    for file in (copy / "outcomes" / f"dt={day}").iterdir():
        file.unlink()
    (copy / "outcomes" / f"dt={day}" / "outcomes.jsonl").touch()
    return copy


# --- help


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_it_does_and_takes_the_options_of_the_contract(name):
    answer = run(name, "--help")
    assert answer.status == 0
    assert set(re.findall(r"^ +(--[\w-]+)", answer.stdout, re.MULTILINE)) - {"--help"} == COMMANDS[name]


def test_the_list_of_commands_cuts_no_sentence_off():
    answer = run("--help")
    assert answer.status == 0
    assert set(COMMANDS) <= set(re.findall(r"^  (\w+) ", answer.stdout, re.MULTILINE))
    assert "..." not in answer.stdout.split("Commands:")[1]


def test_help_imports_nothing_heavy_so_that_it_answers_within_a_second():
    program = (
        "import sys\nfrom ctr_retrain.flows.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as left:\n    assert not left.code\n"
        "heavy = {'prefect', 'tensorflow', 'keras', 'great_expectations', 'duckdb', 'pandas', 'pydantic', 'rich'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert len(sys.modules) < 250, len(sys.modules)\n"  # about 180; seconds depend on the machine
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)


def test_nothing_asked_shows_the_help_as_wrong_use():
    answer = run()
    assert answer.status == 2
    assert answer.stderr.startswith("Usage: ctr-retrain")
    assert "Traceback" not in answer.stderr


# --- one document


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["ingest", "--date", NEXT_DAY], {"date", "path", "impressions", "outcomes", "unreadable", "unknown_columns"}),
        (["validate", "--date", RUN_DAY], {"date", "passed", "failed", "evaluated", "accepted", "data_docs"}),
        (["accept", "--date", RUN_DAY, "--reason", "seen"], {"date", "accepted", "accepted_by", "reason"}),
        (["daily", "--date", RUN_DAY], {"date", "run_id", "verdict", "metrics", "champion", "report", "recorded"}),
        (["backfill", "--start", RUN_DAY, "--end", RUN_DAY], {"days", "champion"}),
        (["models"], {"models"}),
        (["status"], {"root", "recipe", "champion", "newest_day", "rejected_days", "runs"}),
        (["explain", RUN_DAY], {"date", "run_id", "verdict", "report"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_with_json_stdout_gets_one_document_and_for_a_person_none(there, arguments, keys):
    answer = there(*arguments, "--json")
    assert answer.status == 0, answer.stderr
    assert keys <= answer.document.keys()
    spoken = there(*arguments)
    assert spoken.status == 0
    assert spoken.stdout.strip()
    assert not spoken.stdout.startswith("{")


def test_noise_of_a_whole_run_goes_to_stderr_and_a_rejected_day_still_gives_its_document(
    root, small_landing, recipe_file, tmp_path
):
    """In a process of its own, where TensorFlow, Prefect's server and Great Expectations start and may print."""
    landing = without_outcomes(small_landing, tmp_path, NEXT_DAY)
    where = ["--recipe", recipe_file, "--root", root, "--landing", landing]
    answer = command(*where, "--json", "daily", "--date", NEXT_DAY)
    assert_failed(answer, 3, "DataRejectedError", "2026-03-08 was rejected by validation: .*positive_ratio")
    assert {finding["name"] for finding in answer.document["validation"]["failed"]} >= {
        "positive_ratio[ad]",
        "positive_ratio[push]",
    }
    assert answer.document["run_id"] is answer.document["verdict"] is None
    (incomplete,) = answer.document["incomplete_outcomes"]  # which explain the ratios: one cause is told once
    assert (incomplete["day"], set(incomplete["channels"])) == (str(NEXT_DAY), {"ad", "push"})
    assert answer.document["alerts"] == []
    # One cause is told once: the file is missing, which explains both channels' ratios.
    assert [day["received"] for day in answer.document["incomplete_outcomes"]] == [0]
    assert "alert on 2026-03-08, outcomes_late" in answer.stderr
    assert "alert on 2026-03-08, channel" not in answer.stderr
    assert "retracing" not in answer.stderr


@pytest.mark.parametrize("where", ["before", "behind"])
def test_global_options_may_stand_before_the_command_or_behind_it(root, where):
    options = ["--root", root, "--json"]
    answer = run(*options, "status") if where == "before" else run("status", *options)
    assert answer.status == 0
    assert answer.document["root"] == str(root)


def test_what_only_looks_at_a_root_needs_no_recipe(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("status", "--root", root).status == run("models", "--root", root).status == 0


def test_a_root_without_models_is_described(new_root):
    assert run("models", "--root", new_root, "--json").document == {"models": []}
    assert run("status", "--root", new_root, "--json").document["champion"] is None
    assert "no models yet" in run("models", "--root", new_root).stdout


def test_a_path_is_shown_whole_on_a_line_of_its_own(there, root, first_run):
    answer = there("explain", RUN_DAY)
    assert f"report   {root}/runs/{first_run.document['run_id']}/report.html" in answer.stdout.splitlines()
    assert answer.stdout.startswith("2026-03-07  promoted, first champion\nPromoted: every check passed.")
    assert "warning The training loss is of rows weighed by age (half-life 3 days)" in answer.stdout


# --- exit statuses


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["models", "--jsno"], "NoSuchOption", "No such option: --jsno"),
        (["traim"], "UsageError", "No such command 'traim'"),
        (["daily"], "MissingParameter", "Missing option '--date'"),
        (["daily", "--date", "yesterday"], "UsageError", "--date: expected a day such as 2026-03-01, received 'yest"),
        (["daily", "--date", "2026-02-30"], "UsageError", "--date: expected a day"),
        (["backfill", "--start", "x", "--end", "2026-03-01"], "UsageError", "--start: expected a day"),
        (["backfill", "--end", "2026-03-01"], "UsageError", "expected --start and --end, or --from-plan FILE"),
        (["backfill", "--from-plan", "p", "--plan"], "UsageError", "expected --from-plan without --start, --end and"),
        (["backfill", "--from-plan", "p"], "UsageError", "--from-plan: expected a file, received none at p"),
        (["backfill", "--start", "2026-03-01", "--end", "2026-03-01", "--retrain", "often"], "BadParameter", "'often'"),
        (["simulate", "--start", "2026-03-01", "--days", "0", "--out", "x"], "BadParameter", "--days.* equal to 1"),
        (
            ["score", "--input", "a.csv", "--output", "y.csv", "--model", "m"],
            "UsageError",
            "model m: expected a bundle",
        ),
        (["promote", "m", "--reason", "r"], "UsageError", "model m: expected a bundle under"),
        (["promote", "m", "--reason", " "], "UsageError", "--reason: expected some words"),
        (["rollback", "--reason", "r"], "UsageError", "expected an earlier champion to go back to"),
        (["serve", "--cron", "nightly"], "UsageError", "CTR_RETRAIN_CRON: expected a cron expression"),
        (["status", "--root", "gs://bucket/x"], "UsageError", "CTR_RETRAIN_ROOT: expected a local folder or s3"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_exits_with_2(new_root, tmp_path, monkeypatch, arguments, kind, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("user_id\nu\n", encoding="utf-8")
    before = stored_names(LocalStore(new_root))
    assert_failed(run("--root", new_root, *arguments, "--json"), 2, kind, words)
    assert stored_names(LocalStore(new_root)) == before


def test_a_recipe_that_is_none_exits_with_2(there, tmp_path):
    missing = there("--recipe", tmp_path / "no.toml", "daily", "--date", RUN_DAY, "--json")
    assert_failed(missing, 2, "UsageError", r"no\.toml: expected a readable TOML file, received: No such file")
    (tmp_path / "bad.toml").write_text("name = ", encoding="utf-8")
    bad = there("--recipe", tmp_path / "bad.toml", "daily", "--date", RUN_DAY, "--json")
    assert_failed(bad, 2, "UsageError", r"bad\.toml: expected .*TOML")


def test_a_recipe_key_that_is_unknown_exits_with_2_and_is_named(there, tmp_path):
    recipe = write_recipe(tmp_path)
    text = recipe.read_text(encoding="utf-8").replace("min_history_days", "min_histroy_days")
    recipe.write_text(text, encoding="utf-8")
    answer = there("--recipe", recipe, "ingest", "--date", RUN_DAY, "--json")
    assert_failed(answer, 2, "UsageError", r"drift\.min_histroy_days")


def test_nothing_landed_exits_with_3_and_is_said_once(there, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # without the tests' own, warnings are shown on stderr
    for name in ("ingest", "daily"):
        answer = there(name, "--date", "2026-04-01", "--json")
        assert_failed(answer, 3, "DataRejectedError", "nothing landed on 2026-04-01")
        assert answer.stderr.count("nothing landed on 2026-04-01") == 1
    assert_failed(there("explain", "2026-04-01", "--json"), 2, "UsageError", "run 2026-04-01: expected one")


def test_a_day_that_fails_validation_exits_with_3_until_it_is_accepted_by_hand(there, tmp_path):
    strict = ("--recipe", write_recipe(tmp_path, min_rows=100_000))
    rejected = there(*strict, "validate", "--date", RUN_DAY, "--json")
    assert_failed(rejected, 3, "DataRejectedError", r"rows: expected at least 100.?000, received 4,\d+")
    assert [finding["name"] for finding in rejected.document["failed"]] == ["rows"]
    assert there("status", "--json").document["rejected_days"][0]["date"] == str(RUN_DAY)
    assert "data rejected" in there("status").stdout
    accepted = there("accept", "--date", RUN_DAY, "--reason", "a holiday [known]", "--json")
    assert accepted.document["accepted"] is True
    assert accepted.document["reason"] == "a holiday [known]"
    assert there("status", "--json").document["rejected_days"] == []
    assert there(*strict, "validate", "--date", RUN_DAY).status == 0


def test_a_backfill_with_a_bad_day_does_the_others_and_exits_with_3(
    great_expectations, small_landing, recipe_file, tmp_path
):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    shutil.rmtree(landing / "impressions" / "dt=2026-03-03")
    dates = ["--start", FIRST_DAY, "--end", "2026-03-04", "--retrain", "none"]
    answer = at(tmp_path / "root", landing, recipe_file)("backfill", *dates, "--json")
    assert_failed(answer, 3, "DataRejectedError", "expected 3 days of usable data, received 1 that is not: 2026-03-03")
    assert [entry["outcome"] for entry in answer.document["days"]] == ["ingested", "data rejected", "ingested"]


def test_storage_that_fails_exits_with_4(small_landing, recipe_file, tmp_path):
    (tmp_path / "file").touch()
    answer = at(tmp_path / "file" / "root", small_landing, recipe_file)("ingest", "--date", RUN_DAY, "--json")
    assert_failed(answer, 4, "StorageError", "Not a directory")


def test_whoever_was_overtaken_exits_with_5(there, root):
    """The command waits for the ref's lock while somebody who holds it changes the ref."""
    ref = root / "refs" / "accepted" / f"{RUN_DAY}.json"
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(there("accept", "--date", RUN_DAY, "--reason", "mine", "--json"))
    )
    with ref.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting.start()
        while sum(file.resolve() == Path(lock.name) for file in Path("/proc/self/fd").iterdir()) < 2:
            assert waiting.is_alive()
            time.sleep(0.01)
        theirs = {**json.loads(ref.read_text(encoding="utf-8")), "reason": "theirs"}
        ref.write_text(json.dumps(theirs), encoding="utf-8")
    waiting.join()
    assert_failed(answers[0], 5, "BusyError", "expected it unchanged since it was read, .* Run again")
    assert json.loads(ref.read_text(encoding="utf-8"))["reason"] == "theirs"


def test_a_held_challenger_is_a_result_and_exits_with_0(held):
    assert held.answer.status == 0, held.answer.stderr
    assert held.answer.document["verdict"]["decision"] == "hold"
    assert held.answer.document["champion"] == held.first


def test_a_rejected_challenger_is_a_result_and_exits_with_0(there, tmp_path, first_run):
    wild = write_recipe(tmp_path, learning_rate=1e30, embedding_learning_rate=1e30)
    answer = there("--recipe", wild, "daily", "--date", RUN_DAY, "--json")
    assert answer.status == 0, answer.stderr
    assert answer.document["verdict"]["decision"] == "reject"
    assert answer.document["champion"] == first_run.document["run_id"]
    assert "rejected" in there("status").stdout


def test_promote_puts_a_held_model_into_service_and_rollback_brings_its_predecessor_back(held, small_landing, tmp_path):
    root = shutil.copytree(held.root, tmp_path / "root")
    there = at(root, small_landing, held.recipe)
    version = held.answer.document["run_id"]

    promoted = there("promote", version, "--reason", "clicks [all] are back", "--json")
    assert (promoted.status, promoted.document["champion"]) == (0, version)
    tenures = read_champions(LocalStore(root)).tenures
    assert [(tenure.version, tenure.action) for tenure in tenures] == [(held.first, "promote"), (version, "override")]
    assert tenures[-1].reason.endswith(": clicks [all] are back")
    assert states(there) == {version: "champion", held.first: "served before"}
    assert there("status", "--json").document["champion"] == version

    back = there("rollback", "--reason", "clicks fell", "--json")
    assert (back.document["champion"], back.document["barred"]) == (held.first, version)
    assert states(there) == {version: "barred", held.first: "champion"}
    assert there("status", "--json").document["champion"] == held.first
    spoken = there("models")
    assert re.search(rf"{version} .* held .* barred", spoken.stdout)


def states(there):
    return {model["version"]: model["state"] for model in there("models", "--json").document["models"]}


# --- days to land, and the doctor


def test_simulate_keeps_the_truth_apart_from_what_lands(tmp_path):
    arguments = ["--start", "2026-03-02", "--days", "2", "--rows-per-day", "200", "--out", tmp_path / "world"]
    answer = run("simulate", *arguments, "--json")
    assert answer.status == 0, answer.stderr
    assert {path.name for path in (tmp_path / "world").iterdir()} == {"landing", "truth"}
    landing = Path(answer.document["landing"])
    landed = {path.relative_to(landing).parts[:2] for path in landing.rglob("*.*")}
    days = ("dt=2026-03-02", "dt=2026-03-03")
    assert landed == {(stream, day) for stream in ("impressions", "outcomes") for day in days}
    for file in landing.rglob("*.parquet"):
        assert not {"probability", "best_probability"} & set(pq.read_schema(file).names)


def test_land_splits_a_file_by_day(small_landing, recipe_file, tmp_path):
    rows = ["event_id,ts,user_id,channel,campaign_id"]
    rows += [f"e{n},2026-03-0{2 + n % 2}T10:00:00Z,u1,ad,c1" for n in range(5)]
    (tmp_path / "export.csv").write_text("\n".join(rows), encoding="utf-8")
    there = at(tmp_path / "root", tmp_path / "landing", recipe_file)
    answer = there("land", "--from", tmp_path / "export.csv", "--json")
    assert answer.document["rows"] == {"2026-03-02": 3, "2026-03-03": 2}
    assert len(list((tmp_path / "landing").rglob("dt=*/export.csv.parquet"))) == 2
    assert "2026-03-02" in there("land", "--from", tmp_path / "export.csv").stdout


def test_gc_says_what_it_would_remove_and_removes_nothing_in_a_dry_run(tmp_path, recipe_file):
    store = LocalStore(tmp_path / "root")
    claim_root(store, "small")
    cli = at(tmp_path / "root", tmp_path / "landing", recipe_file)
    finish(start_with(store, "with store.writing('days/2026-03-02/never', {}): pass\n"))
    os.utime(tmp_path / "root" / "days" / "2026-03-02" / "never" / MANIFEST, (0, 0))
    expected = {"root": store.root, "removed": ["days/2026-03-02/never"], "kept": 0, "checkpoints": []}
    assert cli("gc", "--dry-run", "--json").document == {**expected, "dry_run": True}
    assert "would remove days/2026-03-02/never" in cli("gc", "--dry-run").stdout.replace("\n", "")
    assert cli("gc", "--json").document == {**expected, "dry_run": False}
    assert store.ages() == {}
