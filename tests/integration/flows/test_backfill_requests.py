"""Rules of what a backfill asks a bucket for where its days are finished: each thing once, and few a day."""

from collections import Counter
from datetime import timedelta
from urllib.parse import unquote

import pytest

from tests.support import command_line
from tests.support.small_world import FIRST_DAY, RUN_DAY

FIRST = FIRST_DAY + timedelta(days=1)  # of those that the run for RUN_DAY reads
DAYS = (RUN_DAY - FIRST).days + 1
A_DAY = 4  # its ref and manifest, its decision and the validation that this names
A_RUN = 10  # its ref and manifest, whom it met, and the labels of each day of its window
BESIDES = 20  # once a command: the root's name, the champion, refs listed, the newest nights, the lease
CHANGING = ("refs/lease.json", "refs/recipe-name.json", "refs/champion.json")  # read anew right before they matter


@pytest.fixture
def asked(first_run, small_landing, proxy, bucket_name, s3_server, recipe_file, tmp_path, monkeypatch):
    """Run the command line on the first run's root in a bucket; answers its JSON and how often each key was asked."""
    for name, value in {"S3_ENDPOINT_URL": proxy.url, "CACHE": tmp_path / "cache", "SPOOL": tmp_path / "spool"}.items():
        monkeypatch.setenv(f"CTR_RETRAIN_{name}", str(value))
    client = s3_server.client()
    for file in (path for path in first_run.root.rglob("*") if path.is_file()):
        client.upload_file(str(file), bucket_name, f"ctr/{file.relative_to(first_run.root).as_posix()}")
    places = ("--recipe", recipe_file, "--root", f"s3://{bucket_name}/ctr", "--landing", small_landing, "--json")

    def run(first, retrain, *more):
        proxy.requests.clear()
        answer = command_line.run(*places, "backfill", "--start", first, "--end", RUN_DAY, "--retrain", retrain, *more)
        assert answer.status == 0, answer.stderr
        read = [unquote(path) for method, path in proxy.requests if method == "GET"]
        return answer.document, Counter(read)

    return run


def asked_again(counts):
    """What was asked for more than once, of all that doesn't change while a look lasts."""
    return {key: times for key, times in counts.items() if times > 1 and not key.endswith(CHANGING)}


@pytest.mark.parametrize("command", [["--plan"], []], ids=["plan", "all finished"])
def test_finished_days_are_asked_for_once_each(asked, command):
    document, counts = asked(FIRST, "last", *command)
    told = [one.get("reason") if command else one["outcome"] for one in document["days"]]
    assert told == ["finished" if command else "skipped"] * DAYS
    assert not asked_again(counts)
    assert counts.total() <= A_DAY * DAYS + A_RUN + BESIDES
    shorter = asked(FIRST + timedelta(days=DAYS - 2), "none", *command)[1]
    longer = asked(FIRST, "none", *command)[1]
    assert not asked_again(longer)
    assert longer.total() - shorter.total() <= A_DAY * (DAYS - 2)


def test_what_a_backfill_skips_is_told_with_its_run(asked, first_run):
    document, _ = asked(FIRST, "last")
    assert [one.get("run_id") for one in document["days"]] == [None] * (DAYS - 1) + [first_run.document["run_id"]]
