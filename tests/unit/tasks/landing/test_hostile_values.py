"""Rules of odd types and extreme times: the right value, a row quarantined with its reason, or a file told by name."""

from datetime import datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file
from tests.support.landed_day import clean

AT = datetime(2026, 3, 2, 10)  # noqa: DTZ001 - UTC, as the store keeps it
SECONDS = 1772445600
LAST = 2**63 - 1
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@pytest.fixture
def land_column(landing, day):
    """Land a Parquet file whose rows differ in one column, and a plain one beside it; it is named by its campaign."""

    def land(name, column, file="a"):
        rows = len(column)
        columns = {
            "event_id": pa.array([f"{file}{number}" for number in range(rows)]),
            "ts": pa.array([AT] * rows, pa.timestamp("us")),
            **{key: pa.array([key] * rows) for key in ("user_id", "device")},
            "campaign_id": pa.array([file] * rows),
            "channel": pa.array(["ad"] * rows),
            "bid": pa.array([0.5] * rows),
        }
        folder = landing / "impressions" / f"dt={day}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({**columns, "event_id": pa.array(["plain"] * rows)}).slice(0, 1), folder / "b.parquet")
        pq.write_table(pa.table({**columns, name: column}), folder / f"{file}.parquet")
        return folder / f"{file}.parquet"

    return land


def became(found, name):
    """What the column became of the rows that were kept, and why others were not; without the plain row."""
    kept = [row[name] for row in found.rows if row["event_id"] != "plain"]
    return kept + [row["reason"] for row in found.quarantined]


# Column, and what it is as text, as number, as time: "no" where it is none.
TYPES = {
    "struct": (pa.array([{"a": 1, "b": "x"}]), "{'a': 1, 'b': x}", "no", "no"),
    "list": (pa.array([[1, 2]]), "[1, 2]", "no", "no"),
    "map": (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())), "{k=1}", "no", "no"),
    "decimal": (pa.array([Decimal("1.50")]), "1.5", 1.5, "no"),
    "decimal38": (pa.array([Decimal(10**37)], pa.decimal128(38, 0)), "1" + "0" * 37, 1e37, "no"),
    "time": (pa.array([time(10, 1)]), "10:01:00", "no", "no"),
    "binary": (pa.array([b"\xff\0a"]), "\\xFF\\x00a", "no", "no"),
    "fixed binary": (pa.array([b"\xff\0a"], pa.binary(3)), "\\xFF\\x00a", "no", "no"),
    "dictionary": (pa.array(["0.5"]).dictionary_encode(), "0.5", 0.5, "no"),
    "large string": (pa.array(["2026-03-02T10:00:00Z"], pa.large_string()), "2026-03-02T10:00:00Z", "no", AT),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), str(2**64 - 1), float(2**64), "no"),
    "int8": (pa.array([7], pa.int8()), "7", 7.0, "no"),
    "bool": (pa.array([True]), "true", 1.0, "no"),
    "float16": (pa.array([0.5], pa.float16()), "0.5", 0.5, "no"),
    "date": (pa.array([AT.date()]), "2026-03-02", "no", datetime(2026, 3, 2)),  # noqa: DTZ001
    "timestamp[s]": (pa.array([AT], pa.timestamp("s")), "2026-03-02 10:00:00", "no", AT),
    "timestamp[ns]": (pa.array([AT], pa.timestamp("ns")), "2026-03-02 10:00:00", "no", AT),
    "timestamp[us, tz]": (pa.array([AT], pa.timestamp("us", "Asia/Tokyo")), "2026-03-02 10:00:00+00", "no", AT),
    "timestamp[ns, tz]": (pa.array([AT], pa.timestamp("ns", "Asia/Tokyo")), "2026-03-02 10:00:00+00", "no", AT),
    "null": (pa.nulls(1), None, None, None),
    "null struct": (pa.nulls(1, pa.struct([("a", pa.int32())])), None, None, None),
    "NaN": (pa.array([float("nan")]), None, None, None),
    "infinity": (pa.array([float("inf")]), "inf", "no", "ts_in_future"),
    "before all times": (pa.array([-LAST - 1], pa.timestamp("us")), None, "no", "ts_too_old"),
}


@pytest.mark.parametrize("type_", TYPES)
def test_each_type_is_a_text_a_number_and_a_time_or_is_missing_or_quarantined_as_none(
    landing, land_column, tiny_recipe, day, type_
):
    column, text, number, at = TYPES[type_]
    missing = column.null_count or type_ == "NaN"
    expected = {
        "event_id": "event_id_missing" if text is None else text,
        "user_id": "user_id_missing" if missing else text,
        "device": text,
        "bid": None if number == "no" else number,
        "ts": "ts_missing" if missing else "ts_unreadable" if at == "no" else at,
    }
    for name in expected:
        land_column(name, column, file=name)
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.received == 1 + len(expected)
    assert found.unreadable_values.keys() == ({"bid"} if number == "no" else set())
    assert all(values.example for values in found.unreadable_values.values())
    rows = [row for row in found.rows if row["event_id"] != "plain"]
    kept = {row["campaign_id"]: row for row in rows}
    refused = {row["file"].removesuffix(".parquet"): row["reason"] for row in found.quarantined}
    assert {name: kept[name][name] if name in kept else refused[name] for name in expected} == expected
    assert len(kept) + len(refused) == len(expected)


@pytest.mark.parametrize("unit", PER_SECOND)
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_typed_time_far_off_is_quarantined(landing, land_column, tiny_recipe, day, unit, zone):
    far = {"year 10000": 253402300800, "before Christ": -62135596801, "before 1970": -1}
    numbers = {name: seconds * PER_SECOND[unit] for name, seconds in far.items()}
    if unit != "s":  # which Arrow keeps as milliseconds
        numbers |= {"infinity": LAST, "minus infinity": -LAST}
    numbers = {name: number for name, number in numbers.items() if abs(number) <= LAST}
    land_column("ts", pa.array([SECONDS * PER_SECOND[unit], *numbers.values()], pa.timestamp(unit, zone)))
    found = clean(landing, tiny_recipe(), day)
    assert found.unreadable == {}
    early, late = ("before Christ", "before 1970", "minus infinity"), ("year 10000", "infinity")
    reasons = ["ts_too_old"] * len(numbers.keys() & set(early)) + ["ts_in_future"] * len(numbers.keys() & set(late))
    assert sorted(became(found, "ts")[1:]) == sorted(reasons)


@pytest.mark.parametrize("number", [LAST - 1, -LAST - 1])
def test_time_that_cannot_be_held_makes_its_file_unreadable_and_names_the_column(
    landing, land_column, tiny_recipe, day, tmp_path, number
):
    file = land_column("ts", pa.array([number], pa.timestamp("ms")))
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 1
    assert found.unreadable["impressions/a.parquet"].startswith(
        "column ts: Conversion Error: Could not convert Timesta"
    )
    with pytest.raises(
        DataRejectedError, match=r"land .*a.parquet: expected a file whose rows can all be read, received"
    ):
        land_file(file, tiny_recipe(), LocalLandingZone(tmp_path / "other"))


@pytest.mark.parametrize("days", [2**31 - 1, -(2**31), 2932897, -719163])
def test_date_far_off_is_quarantined(landing, land_column, tiny_recipe, day, days):
    land_column("ts", pa.array([days], pa.date32()))
    (reason,) = became(clean(landing, tiny_recipe(), day), "ts")
    assert reason in ("ts_too_old", "ts_in_future", "ts_unreadable")


@pytest.mark.parametrize("time_", ["epoch_s", "epoch_ms", "epoch_us"])
def test_number_that_is_no_time_near_the_day_is_quarantined(landing, land_column, tiny_recipe, day, time_):
    nan, inf, per_second = float("nan"), float("inf"), PER_SECOND[time_.removeprefix("epoch_")]
    numbers = [1e300, -1e300, nan, inf, -inf, -1.0, 0.0, 9.3e18, 9.2e18, 253402300800.0 * per_second]
    for column in (
        pa.array([float(SECONDS * per_second), *numbers]),
        pa.array([SECONDS * per_second, LAST, -LAST - 1, LAST - 1, 0]),
        pa.array([str(SECONDS * per_second), "nan", "inf", "1e999", "-", "0x10", "1772445600 s"]),
    ):
        land_column("ts", column)
        at, *reasons = became(clean(landing, tiny_recipe(landing={"time": time_}), day), "ts")
        assert (at, len(reasons)) == (AT, len(column) - 1)
        assert {str(reason)[:3] for reason in reasons} == {"ts_"}


WRITTEN = [
    *("0001-01-01", "9999-12-31T23:59:59Z", "294247-01-10 04:00:54Z", "294248-01-01", "-0044-03-15", "0044-03-15 (BC)"),
    *(
        "infinity",
        "-infinity",
        "epoch",
        "now",
        "today",
        "2026-02-30",
        "2026-03-02T10:00:00+99:99",
        "'; DROP TABLE known",
    ),
]


@pytest.mark.parametrize("time_", ["iso", "%Y-%m-%d"])
def test_text_that_is_no_time_near_the_day_is_quarantined(landing, land_column, tiny_recipe, day, time_):
    written = AT.isoformat() if time_ == "iso" else "2026-03-02"
    land_column("ts", pa.array([written, *WRITTEN]))
    at, *reasons = became(clean(landing, tiny_recipe(landing={"time": time_}), day), "ts")
    assert (at.date(), len(reasons)) == (day, len(WRITTEN))
    assert set(reasons) <= {"ts_unreadable", "ts_too_old", "ts_in_future"}


def test_extreme_times_are_landed_on_the_first_day_or_their_own(landing, land_column, tiny_recipe, tmp_path):
    file = land_column("ts", pa.array([SECONDS * 10**6, LAST, -LAST, -LAST - 1, LAST - 1], pa.timestamp("us")))
    assert land_file(file, tiny_recipe(), LocalLandingZone(tmp_path / "other")).to_json()["rows"] == {"2026-03-02": 5}
