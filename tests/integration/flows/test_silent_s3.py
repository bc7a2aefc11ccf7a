"""Rules of a bucket whose service falls silent amid a night: it takes connections and answers nothing any more.

The night ends within a limit with exit status 4 and one line; nothing is recorded, and the next one comes to the
undisturbed verdict.
"""

import pytest

from ctr_retrain.tasks.store import s3_bucket
from ctr_retrain.tasks.store.s3_bucket import S3Access
from tests.support import command_line
from tests.support.counts import SOAK
from tests.support.small_world import RUN_DAY, write_recipe

pytestmark = pytest.mark.skipif(not SOAK, reason="each stage waits out its silence: minutes, in `make soak`")
# The first request that gets no answer is waited for long enough that no busy service is taken for a silent one.
READ_SECONDS, HURRIED_SECONDS = 20, 1
# By the request with which each begins to write, in a night's order.
STAGES = (
    *("/refs/lease", "/refs/nights/", "/days/", "/refs/days/", "/validations/", "/refs/accepted/", "/labels/"),
    *("/refs/incidents/", "/runs/", "/refs/runs/", "/history.json"),
)
RECORDED = ("/history.json",)  # stages behind which the run is recorded
# Once the service is silent: of a stage's files, which go up side by side, the night's mark, messages and the lease.
MOST_REQUESTS = 60


@pytest.fixture
def places(proxy, s3_server, bucket_name, small_landing, tmp_path, monkeypatch, great_expectations):
    """A bucket behind the proxy where all days have landed, and a recipe by which none trains, which saves the time."""
    for name, value in {"S3_ENDPOINT_URL": proxy.url, "CACHE": tmp_path / "cache", "SPOOL": tmp_path / "spool"}.items():
        monkeypatch.setenv(f"CTR_RETRAIN_{name}", str(value))
    monkeypatch.setattr(S3Access.__init__, "__defaults__", ("", 1, 10, READ_SECONDS))
    monkeypatch.setattr(s3_bucket, "HURRIED_SECONDS", HURRIED_SECONDS)
    recipe = write_recipe(tmp_path, min_positives=1_000_000)
    return ("--recipe", recipe, "--root", f"s3://{bucket_name}/ctr", "--landing", small_landing)


def night(places, bucket_name, s3_server):
    """A night of a process that ends with it: its lease is nobody's then."""
    answer = command_line.run(*places, "daily", "--date", RUN_DAY, "--json")
    s3_server.client().delete_object(Bucket=bucket_name, Key="ctr/refs/lease.json")
    return answer


def test_a_service_that_falls_silent_at_any_stage_ends_the_night_without_a_verdict_and_the_next_one_goes_on(
    places, proxy, bucket_name, s3_server
):
    client = s3_server.client()
    for part in STAGES:
        proxy.requests.clear()
        proxy.fall_silent("PUT", part)
        failed = night(places, bucket_name, s3_server)
        silent = next(
            number for number, (method, path) in enumerate(proxy.requests) if method == "PUT" and part in path
        )
        proxy.speak()
        lines = [line for line in failed.stderr.splitlines() if line.startswith("StorageError: ")]
        assert (failed.status, failed.document["error"]["exit_code"], len(lines)) == (4, 4, 1), (part, failed.stderr)
        assert "ReadTimeoutError" in lines[0]
        assert "Traceback" not in failed.stderr
        assert len(proxy.requests) - silent <= MOST_REQUESTS, (part, proxy.requests[silent:])
        recorded = client.list_objects_v2(Bucket=bucket_name, Prefix="ctr/refs/runs/")["KeyCount"]
        assert recorded == (1 if part in RECORDED else 0), part
    done = night(places, bucket_name, s3_server)
    assert (done.status, done.document["verdict"]["decision"]) == (0, "hold")
