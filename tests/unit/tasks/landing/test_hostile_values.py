"""Rules of odd types and extreme times: the right value, a row quarantined with its reason, or a file told by name."""

from datetime import datetime, time
from decimal import Decimal
from itertools import product

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.data.schema import impression_columns
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.column_rules import unreadable_example
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.read_landing import Reading, read_file
from ctr_retrain.tasks.landing.split_by_day import land_file
from tests.support.landed_day import clean_files

AT = datetime(2026, 3, 2, 10)  # noqa: DTZ001 - UTC, as the store keeps it
SECONDS = 1772445600
LAST = 2**63 - 1
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def differing(changed, file="a"):
    """A Parquet file with columns of its own, by name; its ids begin with the file's name, which its campaign is."""
    rows = max(map(len, changed.values()))
    columns = {
        "event_id": pa.array([f"{file}{number}" for number in range(rows)]),
        "ts": pa.array([AT] * rows, pa.timestamp("us")),
        **{key: pa.array([key] * rows) for key in ("user_id", "device")},
        "campaign_id": pa.array([file] * rows),
        "channel": pa.array(["ad"] * rows),
        "bid": pa.array([0.5] * rows),
    }
    data = pa.BufferOutputStream()
    pq.write_table(pa.table(columns | changed), data)
    return data.getvalue().to_pybytes()


@pytest.fixture(scope="module")
def clean_columns(tmp_path_factory, tiny_recipe, day):
    """Clean a day of files with columns of their own, file → name → column, with a plain file beside."""

    def cleaned(columns, **landing):
        files = {f"{file}.parquet": differing(changed, file) for file, changed in columns.items()}
        files["plain.parquet"] = differing({"bid": pa.array([0.5])}, "plain")
        return clean_files(tmp_path_factory.mktemp("columns"), tiny_recipe(landing=landing), day, files)

    return cleaned


def became(found, name, file="a"):
    """What the column became of the file's rows that were kept, and why others were not."""
    kept = [row[name] for row in found.rows if row["campaign_id"] == file]
    return kept + [row["reason"] for row in found.quarantined if row["file"] == f"{file}.parquet"]


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


COLUMNS = ("event_id", "user_id", "device", "bid", "ts")  # in which each type lands


def file_of(type_, name):
    """The file with a type in a column: all that cost no row share one, since each column costs its queries time."""
    alone = name == "ts" or TYPES[type_][1] is None
    return f"{list(TYPES).index(type_)}-{name if alone else 'texts'}"


@pytest.fixture(scope="module")
def typed_day(clean_columns):
    """A day of files of all types; their ids hold the file's name too, since different types make equal texts."""
    files = {}
    for type_, (column, *_) in TYPES.items():
        for name in COLUMNS:
            files.setdefault(file_of(type_, name), {})[name] = column
    return clean_columns(files, event_id_columns=["event_id", "campaign_id"])


@pytest.mark.parametrize("type_", TYPES)
def test_each_type_is_a_text_a_number_and_a_time_or_is_missing_or_quarantined_as_none(typed_day, type_):
    column, text, number, at = TYPES[type_]
    missing = column.null_count or type_ == "NaN"
    expected = {
        "event_id": "event_id_missing" if text is None else f"{text}-{file_of(type_, 'event_id')}",
        "user_id": "user_id_missing" if missing else text,
        "device": text,
        "bid": None if number == "no" else number,
        "ts": "ts_missing" if missing else "ts_unreadable" if at == "no" else at,
    }
    assert {name: became(typed_day, name, file_of(type_, name)) for name in COLUMNS} == {
        name: [value] for name, value in expected.items()
    }


def test_of_all_types_those_that_are_no_number_count_as_unreadable_and_no_row_is_lost(typed_day):
    assert typed_day.unreadable == {}
    assert typed_day.impressions.received == len({file_of(*each) for each in product(TYPES, COLUMNS)}) + 1
    assert typed_day.impressions.kept + typed_day.impressions.quarantined == typed_day.impressions.received
    assert typed_day.unreadable_values.keys() == {"bid"}
    assert typed_day.unreadable_values["bid"].rows == sum(number == "no" for _, _, number, _ in TYPES.values())


@pytest.mark.parametrize("type_", [type_ for type_, (_, _, number, _) in TYPES.items() if number == "no"])
def test_a_value_that_is_no_number_is_shown_whatever_its_type(tmp_path, tiny_recipe, type_):
    recipe = tiny_recipe()
    (bid,) = (column for column in impression_columns(recipe) if column.name == "bid")
    (tmp_path / "a.parquet").write_bytes(differing({"bid": TYPES[type_][0]}))
    with duck.connect(tmp_path, threads=1) as connection:
        file = read_file(connection, tmp_path / "a.parquet", Reading((bid,), tmp_path, recipe.landing))
        assert connection.execute(unreadable_example(file, bid, recipe.landing)).fetchone() is not None


FAR = {"year 10000": 253402300800, "before Christ": -62135596801, "before 1970": -1}  # in seconds
TIMES = {f"{unit}, {zone}": (unit, zone) for zone in (None, "UTC") for unit in PER_SECOND}


def far_times(unit):
    """A time of the day and ones that are far off, by name, as numbers of a unit."""
    numbers = {name: seconds * PER_SECOND[unit] for name, seconds in FAR.items()}
    if unit != "s":  # which Arrow keeps as milliseconds
        numbers |= {"infinity": LAST, "minus infinity": -LAST}
    return {name: number for name, number in numbers.items() if abs(number) <= LAST}


@pytest.fixture(scope="module")
def far_day(clean_columns):
    """A day of files of all types of times, each with times far off."""
    return clean_columns(
        {
            name: {"ts": pa.array([SECONDS * PER_SECOND[unit], *far_times(unit).values()], pa.timestamp(unit, zone))}
            for name, (unit, zone) in TIMES.items()
        }
    )


@pytest.mark.parametrize("type_", TIMES)
def test_typed_time_far_off_is_quarantined(far_day, type_):
    assert far_day.unreadable == {}
    names = far_times(TIMES[type_][0]).keys()
    early, late = ("before Christ", "before 1970", "minus infinity"), ("year 10000", "infinity")
    reasons = ["ts_too_old"] * len(names & set(early)) + ["ts_in_future"] * len(names & set(late))
    at, *found = became(far_day, "ts", type_)
    assert (at, sorted(found)) == (AT, sorted(reasons))


@pytest.mark.parametrize("number", [LAST - 1, -LAST - 1])
def test_time_that_cannot_be_held_makes_its_file_unreadable_and_names_the_column(
    clean_columns, tiny_recipe, tmp_path, number
):
    column = pa.array([number], pa.timestamp("ms"))
    found = clean_columns({"a": {"ts": column}})
    assert found.impressions.kept == 1
    assert found.unreadable["impressions/a.parquet"].startswith(
        "column ts: Conversion Error: Could not convert Timesta"
    )
    (tmp_path / "a.parquet").write_bytes(differing({"ts": column}))
    with pytest.raises(
        DataRejectedError, match=r"land .*a.parquet: expected a file whose rows can all be read, received"
    ):
        land_file(tmp_path / "a.parquet", tiny_recipe(), LocalLandingZone(tmp_path / "other"))


def test_date_far_off_is_quarantined(clean_columns):
    far = [2**31 - 1, -(2**31), 2932897, -719163]
    reasons = became(clean_columns({"a": {"ts": pa.array(far, pa.date32())}}), "ts")
    assert len(reasons) == len(far)
    assert set(reasons) <= {"ts_too_old", "ts_in_future", "ts_unreadable"}


@pytest.mark.parametrize("time_", ["epoch_s", "epoch_ms", "epoch_us"])
def test_number_that_is_no_time_near_the_day_is_quarantined(clean_columns, time_):
    nan, inf, per_second = float("nan"), float("inf"), PER_SECOND[time_.removeprefix("epoch_")]
    numbers = [1e300, -1e300, nan, inf, -inf, -1.0, 0.0, 9.3e18, 9.2e18, 253402300800.0 * per_second]
    columns = {
        "fractions": pa.array([float(SECONDS * per_second), *numbers]),
        "integers": pa.array([SECONDS * per_second, LAST, -LAST - 1, LAST - 1, 0]),
        "texts": pa.array([str(SECONDS * per_second), "nan", "inf", "1e999", "-", "0x10", "1772445600 s"]),
    }
    found = clean_columns({file: {"ts": column} for file, column in columns.items()}, time=time_)
    for file, column in columns.items():
        at, *reasons = became(found, "ts", file)
        assert (at, len(reasons)) == (AT, len(column) - 1), file
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
def test_text_that_is_no_time_near_the_day_is_quarantined(clean_columns, day, time_):
    written = AT.isoformat() if time_ == "iso" else "2026-03-02"
    found = clean_columns({"a": {"ts": pa.array([written, *WRITTEN])}}, time=time_)
    at, *reasons = became(found, "ts")
    assert (at.date(), len(reasons)) == (day, len(WRITTEN))
    assert set(reasons) <= {"ts_unreadable", "ts_too_old", "ts_in_future"}


def test_extreme_times_are_landed_on_the_first_day_or_their_own(tiny_recipe, tmp_path):
    file = tmp_path / "a.parquet"
    column = pa.array([SECONDS * 10**6, LAST, -LAST, -LAST - 1, LAST - 1], pa.timestamp("us"))
    file.write_bytes(differing({"ts": column}))
    assert land_file(file, tiny_recipe(), LocalLandingZone(tmp_path / "other")).to_json()["rows"] == {"2026-03-02": 5}
