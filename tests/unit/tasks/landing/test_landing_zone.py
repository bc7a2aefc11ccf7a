"""Rules of landing zones, here in a folder: the files of a day, under their names, as they were listed."""

from datetime import date

import pytest

from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone

DAY = date(2026, 3, 2)


@pytest.fixture
def zone(landing):
    return LocalLandingZone(landing)


def land(zone, stream, day, name, content=b"abc"):
    with zone.writing(stream, day, name) as aside:
        aside.write_bytes(content)


def test_files_of_a_day_come_sorted_under_their_names(zone):
    for name in ("b.csv.gz", "a.parquet", "c d+ü.jsonl"):
        land(zone, "impressions", "2026-03-02", name, name.encode())
    land(zone, "impressions", "2026-03-03", "other.csv")
    land(zone, "outcomes", "2026-03-02", "other.csv")
    files = zone.files("impressions", DAY)
    assert [path.name for path in files] == ["a.parquet", "b.csv.gz", "c d+ü.jsonl"]
    assert [path.read_bytes().decode() for path in files] == [path.name for path in files]
    assert zone.days("impressions") == ["2026-03-02", "2026-03-03"]


def test_names_that_begin_with_a_dot_or_an_underscore_do_not_count(zone):
    for name in (".hidden.csv", "_SUCCESS", "_temporary", "rows.csv"):
        land(zone, "impressions", "2026-03-02", name)
    assert [path.name for path in zone.files("impressions", DAY)] == ["rows.csv"]


def test_day_on_which_nothing_landed_has_no_files(zone):
    assert zone.files("impressions", DAY) == []
    assert zone.days("impressions") == []


def test_file_is_found_by_its_name_and_can_be_taken_away(zone):
    for day in ("2026-03-02", "2026-03-03"):
        for name in ("mine.parquet", "other.parquet"):
            land(zone, "impressions", day, name)
    found = zone.find("impressions", {"mine.parquet", "mine.csv"})
    assert found == {("2026-03-02", "mine.parquet"), ("2026-03-03", "mine.parquet")}
    zone.remove("impressions", "2026-03-02", "mine.parquet")
    assert zone.find("impressions", {"mine.parquet"}) == {("2026-03-03", "mine.parquet")}


def test_file_whose_writing_fails_does_not_land(zone):
    def fail():
        with zone.writing("impressions", "2026-03-02", "rows.csv") as aside:
            aside.write_bytes(b"half")
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail()
    assert zone.files("impressions", DAY) == []


def test_replaced_file_is_read_anew(zone):
    land(zone, "impressions", "2026-03-02", "rows.csv", b"old")
    assert zone.files("impressions", DAY)[0].read_bytes() == b"old"
    land(zone, "impressions", "2026-03-02", "rows.csv", b"new")
    assert zone.files("impressions", DAY)[0].read_bytes() == b"new"


def test_a_file_that_is_replaced_or_added_has_another_stamp_and_one_that_is_no_data_has_none(zone):
    seen = [zone.stamps("impressions", DAY)]
    for name, content in (("a.csv", b"1"), ("a.csv", b"12"), ("b.csv", b"1"), (".aside", b"1"), ("_SUCCESS", b"")):
        land(zone, "impressions", str(DAY), name, content)
        seen.append(zone.stamps("impressions", DAY))
    assert [len(stamps) for stamps in seen] == [0, 1, 1, 2, 2, 2]
    assert seen[1] != seen[2]
    assert set(seen[2]) < set(seen[3]) == set(seen[4]) == set(seen[5])
    assert zone.stamps("outcomes", DAY) == []
