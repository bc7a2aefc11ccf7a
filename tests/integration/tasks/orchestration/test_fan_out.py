"""Days side by side give what days one after the other give, on threads and on a local cluster of two processes."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.errors import BusyError, CtrRetrainError, DataRejectedError, StorageError, UsageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import run
from tests.support.repository import REPOSITORY
from tests.support.scheduler_elsewhere import scheduler_elsewhere
from tests.support.small_world import FIRST_DAY, clean_environment

DAYS = [FIRST_DAY + timedelta(days=number) for number in range(4)]
BAD_DAY = DAYS[1]
READ = {
    ".parquet": lambda file: sorted(map(repr, pq.read_table(file).to_pylist())),  # DuckDB writes rows as they come
    ".json": lambda file: file.read_text(encoding="utf-8"),
}


def backfill(root, landing, recipe, **environment):
    """The command in a process group of its own; its document, exit status and the group."""
    options = ["--json", "--recipe", recipe, "--root", root, "--landing", landing]
    days = ["backfill", "--start", DAYS[0], "--end", DAYS[-1], "--retrain", "none"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, [*options, *days])],
        cwd=REPOSITORY,
        env={**clean_environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    out, err = process.communicate()
    return SimpleNamespace(status=process.returncode, document=json.loads(out), stderr=err, group=process.pid)


def wait_until_none_is_left(group):
    while any(in_group(process, group) for process in psutil.process_iter()):
        time.sleep(0.1)


def in_group(process, group):
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def published(root):
    """Every day's objects with their rows in any order, counts and findings, and what the refs say."""
    store = LocalStore(root)
    paths = [
        path for folder in ("days", "validations") for day in DAYS for path in store.list_objects(f"{folder}/{day}")
    ]
    files = [(path, file) for path in paths for file in sorted(store.open(path).rglob("*"))]
    rows = {(path, file.name, file.parent.name): content(file) for path, file in files if file.suffix in READ}
    refs = {name: store.read_ref(name).value for folder in ("days", "accepted") for name in store.list_refs(folder)}
    return rows, {name: (ref.get("current"), ref.get("accepted"), ref.get("reason")) for name, ref in refs.items()}


def content(file):
    return READ[file.suffix](file) if file.name != MANIFEST else None


def days_of(document):
    return {entry["date"]: entry["outcome"] for entry in document["days"]}


@pytest.fixture(scope="module")
def landing(small_landing, tmp_path_factory):
    """Four days, of which the second never landed."""
    folder = shutil.copytree(small_landing, tmp_path_factory.mktemp("days") / "landing")
    shutil.rmtree(folder / "impressions" / f"dt={BAD_DAY}")
    return folder


@pytest.fixture(scope="module")
def in_sequence(great_expectations, landing, recipe_file, tmp_path_factory):
    root = tmp_path_factory.mktemp("sequence") / "root"
    return SimpleNamespace(root=root, document=fanned_out(1, root, landing, recipe_file))


def fanned_out(days_at_once, root, landing, recipe_file):
    from ctr_retrain.flows.backfill import backfill as flow  # noqa: PLC0415 - TensorFlow takes seconds to import

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTR_RETRAIN_DAYS_AT_ONCE", str(days_at_once))
        return flow(DAYS[0], DAYS[-1], "none", recipe_file, str(root), str(landing)).to_json()


def test_threads_publish_the_same_days_as_one_day_after_the_other(in_sequence, landing, recipe_file, tmp_path):
    document = fanned_out(3, tmp_path / "root", landing, recipe_file)
    assert document == in_sequence.document
    assert days_of(document)[str(BAD_DAY)] == "data rejected"
    assert list(days_of(document).values()).count("ingested") == 3
    assert published(tmp_path / "root") == published(in_sequence.root)


def test_two_dask_processes_publish_the_same_days_and_leave_no_process(in_sequence, landing, recipe_file, tmp_path):
    environment = {"CTR_RETRAIN_TASK_RUNNER": "dask", "CTR_RETRAIN_DAYS_AT_ONCE": "2"}
    done = backfill(tmp_path / "root", landing, recipe_file, **environment)
    assert done.status == 3  # a day was bad
    wait_until_none_is_left(done.group)
    assert done.document["days"] == in_sequence.document["days"]
    assert published(tmp_path / "root") == published(in_sequence.root)


def fail_on(bad_day, day):
    if day == bad_day:
        message = f"{day}: the disk is full"
        raise StorageError(message, free_bytes=0)
    return os.getpid(), duck_settings()


def duck_settings():
    with duck.connect(Path("unused")) as connection:
        threads = duck.scalar(connection, "SELECT current_setting('threads')")
        memory = connection.execute("SELECT current_setting('memory_limit')").fetchone()[0]
    return threads, memory


@pytest.fixture(scope="module")
def cluster():
    with scheduler_elsewhere() as address:
        yield address


def test_a_scheduler_elsewhere_is_used_by_its_address_and_errors_of_its_workers_arrive_whole(
    great_expectations, cluster, monkeypatch
):
    monkeypatch.setattr("ctr_retrain.tasks.orchestration.dask_cluster.CONNECT_SECONDS", 600)
    fan_out = FanOut("dask", 2, cluster)
    answers = fan_out.over(DAYS, "testing", partial(fail_on, None))
    assert list(answers) == DAYS
    workers = {pid for pid, _ in answers.values()}
    assert os.getpid() not in workers
    with pytest.raises(StorageError, match="the disk is full") as caught:
        fan_out.over(DAYS, "testing", partial(fail_on, BAD_DAY))
    assert caught.value.details == {"free_bytes": 0}
    assert caught.value.exit_code == 4


def test_an_error_on_a_thread_arrives_whole_and_each_day_has_its_share_of_the_machine(great_expectations, monkeypatch):
    whole_threads, whole_memory = duck_settings()
    answers = FanOut("threads", 2).over(DAYS, "testing", partial(fail_on, None))
    assert {threads for _, (threads, _) in answers.values()} == {max(1, whole_threads // 2)}
    assert {memory for _, (_, memory) in answers.values()} == {"476.8 MiB"}  # half of 1,000 MB
    assert (duck_settings(), whole_memory) == ((whole_threads, whole_memory), "953.6 MiB")
    with pytest.raises(StorageError, match="the disk is full"):
        FanOut("threads", 2).over(DAYS, "testing", partial(fail_on, BAD_DAY))


def test_one_day_alone_runs_right_here_with_the_whole_machine():
    assert FanOut("threads", 2).over([], "testing", partial(fail_on, None)) == {}
    (answer,) = FanOut("threads", 2).over(DAYS[:1], "testing", partial(fail_on, None)).values()
    assert answer == (os.getpid(), duck_settings())


@pytest.mark.parametrize("kind", [UsageError, DataRejectedError, StorageError, BusyError, CtrRetrainError])
def test_errors_keep_their_details_between_processes(kind):
    sent = kind("what, where", files={"a.csv": "torn"}, document={"date": "2026-03-01"})
    received = pickle.loads(pickle.dumps(sent))  # noqa: S301 - our own
    assert (type(received), str(received), received.details) == (kind, str(sent), sent.details)


def test_a_scheduler_that_nobody_runs_is_named_when_its_time_to_answer_is_over(great_expectations, monkeypatch):
    monkeypatch.setattr("ctr_retrain.tasks.orchestration.dask_cluster.CONNECT_SECONDS", 1)
    with pytest.raises(StorageError, match=r"Dask scheduler tcp://127.0.0.1:9: expected an answer within 1 s"):
        FanOut("dask", 2, "tcp://127.0.0.1:9").over(DAYS, "testing", partial(fail_on, None))


def test_workers_elsewhere_need_a_prefect_server_that_they_reach_where_one_is_named(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    with pytest.raises(UsageError, match=r"PREFECT_API_URL: expected .* workers of tcp://127.0.0.2:9 reach, received"):
        FanOut("dask", 2, "tcp://127.0.0.2:9").over(DAYS, "testing", partial(fail_on, None))


def test_dask_without_its_extra_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['prefect_dask'] = None\n"
        "from ctr_retrain.models.errors import UsageError; from ctr_retrain.tasks.orchestration.fan_out import FanOut\n"
        "try:\n    FanOut('dask', 2)\nexcept UsageError as error:\n    print(error)"
    )
    answered = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install 'ctr-retrain[dask]'" in answered.stdout, answered.stderr


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TASK_RUNNER", "ray", "CTR_RETRAIN_TASK_RUNNER: expected 'threads' or 'dask', received 'ray'"),
        ("DAYS_AT_ONCE", "0", "CTR_RETRAIN_DAYS_AT_ONCE: expected"),
        ("DASK_ADDRESS", "scheduler", "CTR_RETRAIN_DASK_ADDRESS: expected a scheduler's address such as tcp://"),
    ],
)
def test_settings_of_the_fan_out_are_checked(monkeypatch, tmp_path, name, value, expected):
    monkeypatch.setenv(f"CTR_RETRAIN_{name}", value)
    failed = run("--root", tmp_path, "--json", "status")
    assert failed.status == 2
    assert expected in failed.document["error"]["message"]
