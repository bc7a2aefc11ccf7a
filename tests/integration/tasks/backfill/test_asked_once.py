"""Rules of a bucket that is asked once: it says what a bucket says, in fewer requests, and remembers what it saw."""

import pickle
import random

import pytest

from ctr_retrain.tasks.backfill import asked_once
from ctr_retrain.tasks.backfill.asked_once import ListedAhead, ReadOnce
from ctr_retrain.tasks.store.s3_bucket import Bucket, S3Access
from tests.support.counts import draws

# As days' folders may be named, with neighbours of which a part sorts before the slash and a part behind it.
FOLDERS = ("in/dt=1", "in/dt=2", "in/dt=2.tmp", "in/dt=2x", "in/dt=3", "out/dt=1", "out/dt=2", "in", "other")


@pytest.fixture
def asked(proxy, bucket_name):
    """Make a bucket of a kind, reached by the proxy that counts."""
    return lambda kind: kind(bucket_name, "root", S3Access(proxy.url))


def listed(bucket, folder):
    return [(key.name, key.etag) for key in bucket.keys(folder)]


def test_a_key_is_read_once_and_stays_as_it_was(asked, proxy, bucket):
    bucket.write("a.json", b"old")
    once = asked(ReadOnce)
    for name in ("a.json", "b.json"):
        before = once.read(name)
        bucket.write(name, b"new")
        assert once.read(name) == before
        assert bucket.read(name)[0] == b"new"
        assert proxy.asked("GET", f"/{name}") == 1


def test_a_pickled_copy_and_a_new_one_remember_nothing(asked, bucket):
    bucket.write("a.json", b"old")
    once = asked(ReadOnce)
    once.read("a.json")
    bucket.write("a.json", b"new")
    assert pickle.loads(pickle.dumps(once)).read("a.json")[0] == b"new"  # noqa: S301 - our own
    assert asked(ReadOnce).read("a.json")[0] == b"new"


def test_days_are_listed_by_one_request_a_stream(asked, proxy, bucket):
    days = [f"dt=2026-03-{day:02}" for day in range(1, 15)]
    for day in days:
        for stream in ("impressions", "outcomes"):
            bucket.write(f"{stream}/{day}/rows.csv", day.encode())
    ahead = asked(ListedAhead)
    for day in (*days, "dt=2026-04-01"):
        for stream in ("impressions", "outcomes"):
            for _ in range(2):
                assert listed(ahead, f"{stream}/{day}/") == listed(bucket, f"{stream}/{day}/")
    assert proxy.asked("GET", "list-type=2") == 2


@pytest.mark.parametrize("seed", range(draws(5, 200)))
def test_folders_are_listed_as_a_bucket_lists_them_whatever_lies_beside(asked, bucket, monkeypatch, seed):
    chance = random.Random(seed)  # noqa: S311 - which keys, not a secret
    monkeypatch.setattr(asked_once, "LISTED_AHEAD", chance.choice([1, 2, 3, 5]))
    monkeypatch.setattr(asked_once, "MOST_KEPT", chance.choice([2, 8, 1000]))
    for _ in range(chance.randint(1, 12)):
        ending = chance.choice(["", "/", "/a", "/b", "/deep/c"])
        bucket.write(f"{chance.choice(FOLDERS)}{ending}", b"x")
    ahead = asked(ListedAhead)
    for _ in range(20):
        folder = f"{chance.choice(FOLDERS)}/"
        assert listed(ahead, folder) == listed(bucket, folder), folder


def test_a_listing_from_behind_a_key_is_the_buckets_own(asked, bucket):
    for name in ("a", "b", "c"):
        bucket.write(f"in/{name}", b"x")
    assert [key.name for key in asked(ListedAhead).keys("in/", after="in/a")] == ["in/b", "in/c"]
    assert isinstance(asked(ListedAhead), Bucket)
