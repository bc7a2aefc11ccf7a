"""Rules of whole nights on a machine that fails: no verdict comes of it, and the next run comes to the undisturbed one.

What stores, processes and stages do by themselves is tested beside them; here `daily` runs from its start to its end.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.counts import SOAK, draws
from tests.support.flow_answers import daily
from tests.support.processes import children_with
from tests.support.repository import REPOSITORY
from tests.support.small_mounts import mounts, on_small_disk
from tests.support.small_world import RUN_DAY, clean_environment, command, copy_days

at_full_counts = pytest.mark.skipif(not SOAK, reason="minutes of whole runs: in `make soak`")

STAGES = (
    *("detect_drift", "weigh_rows", "find_leaks", "watch_numbers", "train_challenger", "evaluate_models"),
    *("check_serving", "judge_challenger", "ship_challenger", "write_document", "write_report"),
    *("deploy_challenger", "record_run", "write_run_list"),
)
# What a stage has changed by then is right, and stays; of all others nothing is seen.
CHANGED = {"record_run": ["champion.json"], "write_run_list": [f"runs/{RUN_DAY}.json"]}
OUTCOME = ("run_id", "verdict", "metrics", "days", "champion")


@pytest.fixture(scope="module")
def recipe(recipe_file, tmp_path_factory):
    """The small recipe without the measurement that costs much and decides nothing; its digest doesn't count it."""
    text = recipe_file.read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("quick") / "small.toml"
    path.write_text(text.replace("[training]", "[training]\nyardstick_every = 0"), "utf-8")
    return path


def outcome(document):
    """What a night comes to: its verdict and figures."""
    return {key: document[key] for key in OUTCOME}


def published(root):
    """What a reader sees of runs and models."""
    places = ("refs/runs/*", "refs/champion.json", "runs/*/manifest.json", "models/*/manifest.json")
    return sorted(path.relative_to(root).as_posix() for place in places for path in root.glob(place))


def options(root, landing, recipe):
    return ("--recipe", recipe, "--root", root, "--landing", landing, "daily", "--date", RUN_DAY, "--json")


@mounts
def test_on_a_disk_that_is_full_from_any_stage_on_no_verdict_is_recorded_and_with_room_the_night_is_the_undisturbed_one(
    great_expectations, first_run, small_landing, recipe, tmp_path
):
    disk = tmp_path / "disk"
    disk.mkdir()
    stages = draws(("train_challenger", "record_run"), STAGES)
    script = (sys.executable, "-m", "tests.support.full_disk_in_turn", disk, first_run.root, small_landing, recipe)
    finished = subprocess.run(
        list(map(str, (*on_small_disk(disk, "60m"), *script, RUN_DAY, *stages))),
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    *attempts, (status, document) = json.loads(finished.stdout)
    assert [attempt["stage"] for attempt in attempts] == list(stages)
    for attempt in attempts:
        assert (attempt["status"], attempt["error"]["type"]) == (4, "StorageError"), attempt
        assert "No space left on device" in attempt["error"]["message"]
        assert attempt["changed"] == CHANGED.get(attempt["stage"], [])
    assert status == 0
    assert outcome(document) == outcome(first_run.document)


def limited(kind, amount):
    """What a process does to itself before it becomes `daily`."""

    def limit():
        resource.setrlimit(kind, (amount, amount))

    return limit


LIMITS = [
    *((resource.RLIMIT_AS, megabytes << 20) for megabytes in (400, 800, 1500, 2500, 4000)),
    *((resource.RLIMIT_NOFILE, files) for files in (24, 64)),
    *((resource.RLIMIT_FSIZE, kilobytes << 10) for kilobytes in (4, 20, 200)),
]
GROUPS = Path("/sys/fs/cgroup/memory")


def run_limited(limit, root, landing, recipe):
    """The command with the models' process of its own, under a limit; its exit status and what it says."""
    return subprocess.run(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, options(root, landing, recipe))],
        cwd=REPOSITORY,
        env={**clean_environment(), "CTR_RETRAIN_TRAINING_PROCESS": "own"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


def assert_no_verdict_of_the_machine(finished, root, first_run):
    """It came to the undisturbed verdict, or to none: by exit status 4, or by a signal where a library crashed.

    What comes after the model, such as the report, may fail too; by then what is published is the undisturbed run's.
    """
    if finished.returncode == 0:
        assert outcome(json.loads(finished.stdout)) == outcome(first_run.document)
        return
    assert finished.returncode == 4 or finished.returncode < 0, finished.stdout + finished.stderr
    assert set(published(root)) <= set(published(first_run.root))


@at_full_counts
@pytest.mark.parametrize(("kind", "amount"), LIMITS)
def test_too_little_memory_or_too_few_files_are_no_verdict(kind, amount, first_run, small_landing, recipe, tmp_path):
    root = copy_days(first_run, tmp_path / "root")
    finished = run_limited(limited(kind, amount), root, small_landing, recipe)
    assert_no_verdict_of_the_machine(finished, root, first_run)
    assert outcome(daily(RUN_DAY, recipe, str(root), str(small_landing))) == outcome(first_run.document)


@at_full_counts
@pytest.mark.skipif(not os.access(GROUPS, os.W_OK), reason="nobody here may make a memory cgroup")
@pytest.mark.parametrize("megabytes", [150, 300, 500, 700])
def test_a_group_of_processes_that_has_too_little_memory_comes_to_no_verdict(
    megabytes, first_run, small_landing, recipe, tmp_path
):
    root, group = copy_days(first_run, tmp_path / "root"), GROUPS / f"ctr-retrain-{os.getpid()}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(megabytes << 20))
    members = group / "cgroup.procs"
    try:
        finished = run_limited(lambda: members.write_text(str(os.getpid())), root, small_landing, recipe)
    finally:
        while members.read_text():  # of its processes, those that outlive it by a moment
            time.sleep(0.05)
        group.rmdir()
    assert_no_verdict_of_the_machine(finished, root, first_run)
    assert outcome(daily(RUN_DAY, recipe, str(root), str(small_landing))) == outcome(first_run.document)


# The command with limits of half a minute and a minute, in the place of six and five.
IMPATIENT = """
import sys
from ctr_retrain.tasks.execution import worker_process
worker_process.MOST_SIGNS_MISSED = 5
from ctr_retrain.tasks.deploy import publish_model
publish_model.SERVING_TIMEOUT_SECONDS = 60
from ctr_retrain.flows.cli import main
main(sys.argv[1:])
"""
HANGS = {
    "model_worker": "expected a sign of life from its process, received none in 30 s, and killed it",
    "fresh_worker": "score sample: expected an answer from a fresh process within 60 s, received none, and killed it",
}


@at_full_counts
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
@pytest.mark.parametrize("child", ["model_worker", "fresh_worker"])
def test_a_child_that_is_killed_terminated_or_stopped_ends_the_night_without_a_verdict(
    child, how, first_run, small_landing, recipe, tmp_path
):
    root = copy_days(first_run, tmp_path / "root")
    run = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *map(str, options(root, small_landing, recipe))],
        cwd=REPOSITORY,
        env={**clean_environment(), "CTR_RETRAIN_TRAINING_PROCESS": "own"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (found := children_with(f".{child}", run.pid)):
        assert run.poll() is None
        time.sleep(0.02)
    found[0].send_signal(how)
    out, said = run.communicate()
    assert run.returncode == 4, said
    error = json.loads(out)["error"]
    assert error["type"] == "ProcessDiedError"
    assert how != signal.SIGSTOP or HANGS[child] in error["message"], error
    assert published(root) == []
    assert outcome(daily(RUN_DAY, recipe, str(root), str(small_landing))) == outcome(first_run.document)


NAMES = (
    *("with space", "ünïcödé-日本語", "a*b", "[x]", "q'uote", 'dou"ble', "-leading-dash", "l" * 200, "semi;colon"),
    *("dollar$HOME", "per%20cent%s", "hash#frag", "quest?ion", "{brace}", "~tilde", "new\nline", "tab\there"),
    *("comma,equal=", "dt=2026-01-01", "..dots.", "\N{GRINNING FACE}", "am&per|pipe<gt>", "(paren)!bang", " trailing "),
)


@at_full_counts
@pytest.mark.parametrize("name", NAMES)
def test_a_night_whose_every_path_has_an_unusual_name_is_the_undisturbed_one(
    name, first_run, small_landing, recipe, tmp_path, monkeypatch
):
    place = tmp_path / name
    (place / "tmp").mkdir(parents=True)
    (place / "landing").symlink_to(small_landing)
    recipe = shutil.copy(recipe, place / "small.toml")
    monkeypatch.setattr("tempfile.tempdir", str(place / "tmp"))
    monkeypatch.setenv("TMPDIR", str(place / "tmp"))
    document = daily(RUN_DAY, recipe, str(place / "root"), str(place / "landing"))
    assert outcome(document) == outcome(first_run.document)


NOWHERE = {
    "home": {"HOME": "{file}/home", "PREFECT_HOME": "{file}/prefect"},
    "temporary": {"TMPDIR": "{file}/tmp"},
    "cache": {"CTR_RETRAIN_CACHE": "{file}/cache", "XDG_CACHE_HOME": "{file}/xdg"},
    "spool": {"CTR_RETRAIN_SPOOL": "{file}/spool"},
    "metrics": {"CTR_RETRAIN_METRICS_FOLDER": "{file}/metrics"},
    "time zone": {"TZ": "Pacific/Kiritimati"},
    "language": {"LC_ALL": "tr_TR.UTF-8", "LANG": "C"},
}


@at_full_counts
@pytest.mark.parametrize("what", NOWHERE)
def test_a_folder_beside_the_root_that_can_not_be_written_or_another_place_on_earth_changes_no_verdict(
    what, first_run, small_landing, recipe, tmp_path
):
    root, file = copy_days(first_run, tmp_path / "root"), tmp_path / "file"
    file.touch()  # in the place of a folder, so that not even root can write there
    environment = {name: value.format(file=file) for name, value in NOWHERE[what].items()}
    answer = command(*options(root, small_landing, recipe), **environment)
    assert answer.status == 0, answer.stderr
    assert outcome(answer.document) == outcome(first_run.document)


@at_full_counts
@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_a_year_off_changes_no_verdict(days, first_run, small_landing, recipe, tmp_path, monkeypatch):
    class Wrong(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=days)

    root = copy_days(first_run, tmp_path / "root")
    monkeypatch.setattr("ctr_retrain.flows.daily.datetime", Wrong)
    document = daily(RUN_DAY, recipe, str(root), str(small_landing))
    assert outcome(document) == outcome(first_run.document)
