"""Rules of a history that grows: looks, runs and `gc` cost with 400 recorded days what they cost with 30."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from ctr_retrain.tasks.alerts.handle_incident import list_incidents
from ctr_retrain.tasks.observe.describe_status import describe_status
from ctr_retrain.tasks.operate.registry import is_root
from ctr_retrain.tasks.report.history import keep_index, read_history
from ctr_retrain.tasks.report.run_list import write_run_list
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.s3_bucket import Bucket, S3Access
from ctr_retrain.tasks.store.s3_store import S3Store
from tests.support.deliveries import delivery_to, report
from tests.support.faulty_proxy import proxy_to
from tests.support.long_history import night_ref, put_all, put_days
from tests.support.nights import signal
from tests.support.repository import REPOSITORY
from tests.support.small_world import clean_environment

SHORT, LONG = 30, 400
MOST_REQUESTS = 20  # of a status
MEMORY_MB = 200  # of `gc`
NOW = datetime(2026, 3, 1, tzinfo=UTC)
MEASURED = """
import re, sys
from ctr_retrain.flows.cli import main
try:
    main(sys.argv[1:])
finally:
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
    sys.stderr.write(f"peak {int(peak) // 1024} MB\\n")
"""


@pytest.fixture(scope="module")
def roots(s3_server, tmp_path_factory):
    """Roots in a bucket by their number of days, and all requests that were made to them."""
    with pytest.MonkeyPatch.context() as patch, proxy_to(s3_server.port) as proxy:
        for name, value in s3_variables(tmp_path_factory.mktemp("nowhere")).items():
            patch.setenv(name, value)
        bucket = s3_server.new_bucket()
        made = {}
        for days in (SHORT, LONG):
            straight = S3Store(Bucket(bucket, str(days), S3Access(s3_server.url)), cache_of(tmp_path_factory))
            newest = put_days(straight, days, writer="w", whole=10)
            put_index(straight, days, tmp_path_factory.mktemp("twin"))
            store = S3Store(Bucket(bucket, str(days), S3Access(proxy.url)), cache_of(tmp_path_factory))
            made[days] = SimpleNamespace(store=store, straight=straight, newest=newest)
        yield SimpleNamespace(of=made, proxy=proxy)


def put_index(store, days, folder):
    """Store the index of a root, made where its many documents are read sooner: from a copy on this disk."""
    twin = LocalStore(folder)
    put_days(twin, days)
    history = read_history(twin)
    update = {}
    for part, below in (("records", layout.RUNS), ("decisions", layout.ACCEPTED_REFS), ("nights", layout.NIGHT_REFS)):
        marks, known = store.ref_marks(below), getattr(history.index, part)
        update[part] = {day: one.model_copy(update={"mark": marks[f"{below}/{day}"]}) for day, one in known.items()}
    keep_index(store, replace(history, index=history.index.model_copy(update=update)))


def cache_of(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"), limit_gb=1)


def s3_variables(nowhere):
    from tests.support.s3_server import ACCESS_KEY, SECRET_KEY  # noqa: PLC0415

    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(nowhere / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(nowhere / "no-credentials"),
    }


def requests(roots, days, work):
    """The number of requests that some work on a root makes."""
    before = len(roots.proxy.requests)
    work(roots.of[days].store)
    return len(roots.proxy.requests) - before


def look(store):
    assert is_root(store)  # as the command line asks first
    return describe_status(store, NOW)


def test_a_status_takes_few_requests_however_long_the_history(roots):
    asked = {days: requests(roots, days, look) for days in (SHORT, LONG)}
    assert asked[LONG] <= MOST_REQUESTS
    assert asked[LONG] == asked[SHORT]
    status = look(roots.of[LONG].store)
    assert len(status.runs) == 7
    assert status.runs[0].date == status.newest_day == roots.of[LONG].newest


def test_after_a_week_of_failed_nights_a_status_still_takes_few(roots):
    there = roots.of[LONG]
    failed = {}
    for number in range(7):
        day = there.newest.fromordinal(there.newest.toordinal() + 1 + number)
        failed |= night_ref(day, end="failed", error="StorageError: disk full")
    put_all(there.straight, failed)
    assert requests(roots, LONG, look) <= MOST_REQUESTS
    assert [one.state for one in look(there.store).attempts] == ["failed"] * 7
    write_run_list(there.straight, None)


def test_incidents_are_listed_by_the_runs_since_their_first_day_alone(roots, tmp_path):
    asked = {}
    for days in (SHORT, LONG):
        there = roots.of[days]
        began = there.newest - timedelta(days=2)
        report(there.straight, delivery_to(tmp_path / str(days)), signal(since=began))
        asked[days] = requests(roots, days, partial(list_incidents, today=there.newest))
    # The incidents, the champion, the list of runs, and of three nights the ref, the manifest and the document.
    assert asked[LONG] == asked[SHORT] <= 3 + 3 * 3


def test_the_list_page_costs_a_night_no_more_than_with_a_short_history(roots):
    asked = {days: requests(roots, days, lambda store: write_run_list(store, None)) for days in (SHORT, LONG)}
    assert asked[LONG] <= 1.1 * asked[SHORT]


def test_the_first_look_at_a_root_of_before_stores_the_index_for_the_next(roots, s3_server):
    there = roots.of[SHORT]
    there.straight._bucket.delete([layout.HISTORY_FILE])
    first, second = requests(roots, SHORT, look), requests(roots, SHORT, look)
    assert first > MOST_REQUESTS >= second


def test_gc_over_400_days_stays_small_and_imports_no_tensorflow(tmp_path):
    store = LocalStore(tmp_path / "root")
    put_days(store, LONG)
    landing = tmp_path / "landing"
    landing.mkdir()
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    arguments = ["--recipe", tmp_path / "tiny.toml", "--root", store.root, "--landing", landing, "gc", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, arguments)],
        cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kept"] > LONG
    peak = int(done.stderr.rsplit("peak ", 1)[1].split()[0])
    assert peak < MEMORY_MB


TINY = """
name = "tiny"
[channels.ad]
positive_ratio = [0.0, 1.0]
cost = { true_positive = -1, false_positive = 0.02 }
[[features]]
name = "device"
kind = "categorical"
[gate]
max_cost_delta_per_1000 = 1
max_channel_cost_delta_per_1000 = 1
"""
