"""Rules of a landing zone in a bucket: those of every landing zone, and those of S3 alone."""

from datetime import date
from pathlib import Path

import pytest

from ctr_retrain.models.errors import DataRejectedError, StorageError, UsageError
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landed_bytes import landed_name
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone, S3LandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file
from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.s3_bucket import PART_BYTES, Bucket, S3Access
from tests.support.faulty_proxy import CORRUPT, TRUNCATED
from tests.support.landed_day import impression
from tests.support.s3_server import FEW_TRIES
from tests.unit.tasks.landing.test_hostile_names import test_file_is_read_whatever_its_name  # noqa: F401 - run here too
from tests.unit.tasks.landing.test_landing_zone import *  # noqa: F403 - the rules of every landing zone
from tests.unit.tasks.landing.test_landing_zone import land

DAY = date(2026, 3, 2)


@pytest.fixture
def s3_zone(bucket, cache):
    return S3LandingZone(bucket, cache)


@pytest.fixture
def zone(s3_zone):
    return s3_zone


def test_day_is_ingested_alike_from_both(landing, s3_zone, local_store, s3_store, tiny_recipe, land_rows, now):
    path = land_rows("impressions", DAY, [impression("a"), impression("a"), impression("b", ts="never")])
    land(s3_zone, "impressions", str(DAY), path.name, path.read_bytes())
    local = ingest_day(local_store, LocalLandingZone(landing), tiny_recipe(), DAY, now)
    remote = ingest_day(s3_store, s3_zone, tiny_recipe(), DAY, now)
    assert remote == local
    assert (remote.impressions.kept, remote.impressions.duplicates, remote.impressions.quarantined) == (1, 1, 1)


def test_file_of_many_days_lands_in_a_bucket(s3_zone, tiny_recipe, tmp_path):
    source = tmp_path / "events.csv"
    for times in (["2026-03-02", "2026-03-03"], ["2026-03-03"]):
        rows = "".join(f"{t},{t}T10:00:00Z,u1,c1,ad\n" for t in times)
        source.write_text(f"event_id,ts,user_id,campaign_id,channel\n{rows}", encoding="utf-8")
        land_file(source, tiny_recipe(), s3_zone)
        assert s3_zone.days("impressions") == times


def test_landing_zone_that_is_no_bucket_or_no_folder_is_told_apart(s3_server, s3_environment, cache, tmp_path):
    with pytest.raises(UsageError, match="expected a folder, received none"):
        LocalLandingZone(tmp_path / "nowhere").files("impressions", DAY)
    with pytest.raises(StorageError, match="expected the bucket 'no-such-bucket'"):
        S3LandingZone(Bucket("no-such-bucket", "", S3Access(s3_server.url)), cache).files("impressions", DAY)


def test_nothing_landed_names_the_url(s3_zone, s3_store, tiny_recipe, now):
    with pytest.raises(DataRejectedError, match=r"expected files under s3://test-.*/root/impressions/dt=2026-03-02"):
        ingest_day(s3_store, s3_zone, tiny_recipe(), DAY, now)


@pytest.mark.parametrize("name", ["a//rows.csv", "../rows.csv", "a/../../../../rows.csv", "/rows.csv", ".."])
def test_key_that_names_no_file_is_told_and_nothing_is_written_outside_the_cache(s3_zone, bucket, cache, name):
    bucket.write(f"impressions/dt={DAY}/{name}", b"abc")
    assert s3_zone.files("impressions", DAY) == []
    assert "expected a path that names a file" in s3_zone.left_out("impressions", DAY)[name]
    assert not list(cache._folder.parent.rglob("*rows.csv"))


def test_keys_in_folders_are_read_and_markers_are_told(s3_zone, bucket):
    for name in ("hour=13/rows.csv", "hour=14/rows.csv", "_SUCCESS", "_temporary/0/rows.csv", "both", "both/rows.csv"):
        bucket.write(f"impressions/dt={DAY}/{name}", name.encode())
    for folder in ("", "hour=13/"):
        bucket.write(f"impressions/dt={DAY}/{folder}", b"")
    found = s3_zone.files("impressions", DAY)
    names = ["both/rows.csv", "hour=13/rows.csv", "hour=14/rows.csv"]
    assert [path.read_text() for path in found] == names
    assert [landed_name(path) for path in found] == names
    assert list(s3_zone.left_out("impressions", DAY)) == ["_SUCCESS", "_temporary/0/rows.csv", "both"]


@pytest.fixture
def through_proxy(proxy, bucket_name, tmp_path):
    return S3LandingZone(Bucket(bucket_name, "root", S3Access(proxy.url, **FEW_TRIES)), Cache(tmp_path / "empty", 1))


@pytest.mark.parametrize("fault", [CORRUPT, TRUNCATED])
def test_bytes_damaged_on_the_way_are_fetched_again(s3_zone, through_proxy, proxy, fault):
    land(s3_zone, "impressions", "2026-03-02", "rows.csv", b"a,b\n" * 1000)
    proxy.order(fault, "GET", "/rows.csv")
    assert through_proxy.files("impressions", DAY)[0].read_bytes() == b"a,b\n" * 1000
    assert proxy.asked("GET", "/rows.csv") == 2


def test_unchanged_day_is_fetched_once(s3_zone, through_proxy, proxy):
    for name in ("a.csv", "b.csv"):
        land(s3_zone, "impressions", "2026-03-02", name, name.encode())
    for _ in range(2):
        assert [path.name for path in through_proxy.files("impressions", DAY)] == ["a.csv", "b.csv"]
    assert proxy.asked("GET", ".csv") == 2


def test_large_landed_file_comes_in_ranges(s3_zone, through_proxy, proxy):
    content = bytes(range(250)) * (PART_BYTES // 200)
    land(s3_zone, "impressions", "2026-03-02", "rows.csv", content)
    (path,) = through_proxy.files("impressions", DAY)
    assert path.read_bytes() == content
    assert proxy.asked("GET", "/rows.csv") == 2


def test_file_replaced_while_it_is_fetched_is_a_storage_error_and_not_a_mixture(s3_zone, bucket):
    land(s3_zone, "impressions", "2026-03-02", "rows.csv", b"old")
    (stored,) = bucket.keys("impressions/")
    land(s3_zone, "impressions", "2026-03-02", "rows.csv", b"new")
    with pytest.raises(StorageError, match="received another version"):
        s3_zone._fetch(stored, Path("/dev/null"))
