"""Rules of nested keys: `user.id` in the recipe is the value of `id` in the object, struct or map `user`."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file
from tests.conftest import encoded
from tests.support.counts import draws
from tests.support.json_values import NESTED, NUMBERS, TEXTS
from tests.support.landed_day import clean, impression, ingest

NESTED_RULES = {
    "landing": {"columns": {"user_id": "user.id", "value": "price.amount"}, "event_id_columns": ["meta.event.id"]},
    "features": [
        {"name": "device", "kind": "categorical", "column": "user.device.os"},
        {"name": "bid", "kind": "numeric", "column": "price.bid"},
    ],
}
OURS = ("event_id", "user_id", "value", "user.device.os", "price.bid")


def flat_and_nested(event_id, user_id, device, bid):
    """One event with keys that have dots in their names, and with nested ones."""
    rest = {key: value for key, value in impression(event_id).items() if key in ("ts", "channel", "campaign_id")}
    flat = {"meta.event.id": event_id, "user.id": user_id, "user.device.os": device}
    nested = {"meta": {"event": {"id": event_id}}, "user": {"id": user_id, "device": {"os": device}, "more": [1]}}
    flat |= {"price.amount": bid, "price.bid": bid}
    return rest | flat, rest | nested | {"price": {"amount": bid, "bid": bid}}


EVENTS = [
    flat_and_nested("a", "u1", "ios", 0.5),
    flat_and_nested("b", 700000, None, 2),
    flat_and_nested("c", "é", "[1]", None),
]


@pytest.fixture
def cleaned(landing, land_rows, tiny_recipe, day):
    """Clean a file's bytes by the nested recipe; answers what became of its rows."""

    def run(content, name="a.jsonl"):
        land_rows("impressions", day, [], name).write_bytes(content)
        return clean(landing, tiny_recipe(**NESTED_RULES), day)

    return run


@pytest.fixture
def read(cleaned):
    """Clean a file's bytes by the nested recipe; answers the rows that were kept, by OURS."""

    def run(content, name="a.jsonl"):
        return [tuple(row[key] for key in OURS) for row in cleaned(content, name).rows]

    return run


def lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


EXPECTED = [("a", "u1", 0.5, "ios", 0.5), ("b", "700000", 2.0, None, 2.0), ("c", "é", None, "[1]", None)]


def test_nested_keys_of_json_are_columns_as_keys_with_dots_are_also_beside_a_torn_line(read):
    flat, nested = ([event[form] for event in EVENTS] for form in (0, 1))
    assert read(lines(flat)) == read(lines(nested)) == read(lines([flat[0], *nested[1:]])) == EXPECTED
    assert read(lines(nested) + b'{"user": {"id"') == EXPECTED
    assert read(json.dumps(nested, indent=1).encode(), "a.json") == EXPECTED


@pytest.mark.parametrize("torn", [b"", b"1,2\n"])
@pytest.mark.parametrize("files", [1, 2])
def test_nested_keys_of_json_in_a_field_of_csv_are_columns_too(read, land_rows, day, files, torn):
    rows = [{key: json.dumps(value) if isinstance(value, dict) else value for key, value in nested.items()}
            for _, nested in EVENTS]  # fmt: skip
    for number in range(1, files):
        land_rows("impressions", day, [row | {"meta": "no JSON"} for row in rows], f"{number}.csv")
    assert read(encoded(rows, "a.csv") + torn, "a.csv") == EXPECTED


def test_a_key_with_a_dot_in_its_name_counts_before_a_nested_one_in_its_own_row_alone(read):
    first, second, _ = (nested for _, nested in EVENTS)
    rows = [first | {"user.id": "flat"}, second | {"user.id": None}]
    for torn in (b"", b'{"x'):
        assert [row[1] for row in read(lines(rows) + torn)] == ["flat", "700000"]


USERS = {  # and the id that each has
    "no object": ("bob", None),
    "a number": (5, None),
    "a list": (["id"], None),
    "null": (None, None),
    "another key": ({"ID": "u"}, None),
    "an object of that key": ({"id": {"x": 1}}, '{"x":1}'),
    "an object in a text": ('{"id": "text"}', "text"),
}


@pytest.mark.parametrize("torn", [b"", b'{"x'])
@pytest.mark.parametrize("names", draws([list(USERS)], [list(USERS), *([name] for name in USERS)]))
def test_what_holds_no_such_key_holds_nothing(cleaned, names, torn):
    good, nested = EVENTS[0][1], EVENTS[1][1]
    odd = [nested | {"user": USERS[name][0], "meta": {"event": {"id": name}}} for name in names]
    made = cleaned(lines([good, *odd]) + torn)
    found = {name: USERS[name][1] for name in names if USERS[name][1]}
    assert made.became("user_id") == {"a": "u1"} | found
    missing = [row["reason"] for row in made.quarantined if "json" not in row["reason"]]
    assert missing == ["user_id_missing"] * (len(names) - len(found))


@pytest.mark.parametrize("torn", [b"", b'{"event_id": "torn'])
def test_a_nested_value_is_the_one_that_it_would_be_at_the_top(read, torn):
    rest = '"ts":"2026-03-02T10:00:00Z","channel":"ad","campaign_id":"c","user.id":"u"'
    rows = {"flat": [], "nested": []}
    # A float of more digits than it holds is no id; as a text it is written in another way there.
    values = [value for value in [*NUMBERS, *TEXTS, *NESTED] if value != "12345678901234567890.0"]
    for number, value in enumerate(values):
        own = f'{{"meta.event.id":"{number:03}",{rest},'
        rows["flat"].append(own + f'"user.device.os":{value},"price.bid":{value}}}')
        rows["nested"].append(own + f'"user":{{"device":{{"os":{value}}}}},"price":{{"bid":{value}}}}}')
    flat, nested = (
        {row[0]: row[3:] for row in read("\n".join(rows[form]).encode("utf-8", "surrogatepass") + b"\n" + torn)}
        for form in ("flat", "nested")
    )
    assert len(nested) > 40
    assert nested == flat


def parquet(folder, columns):
    table = pa.table({"ts": ["2026-03-02T10:00:00Z"] * 3, "channel": ["ad"] * 3, "campaign_id": ["c1"] * 3, **columns})
    pq.write_table(table, folder / "x.parquet")
    return (folder / "x.parquet").read_bytes()


PRICES = pa.array([{"amount": 0.5, "bid": 0.5}, {"amount": 2, "bid": 2}, None])
META = [json.dumps({"event": {"id": name}}) for name in "abc"]


@pytest.mark.parametrize(
    "users",
    [
        pa.array([{"id": i, "device": {"os": o}} for i, o in (("u1", "ios"), ("700000", None), ("é", "[1]"))]),
        pa.array([json.dumps(EVENTS[place][1]["user"]) for place in range(3)]),
    ],
    ids=["struct", "JSON in a text"],
)
def test_structs_maps_and_json_of_parquet_have_nested_keys(read, tmp_path, users):
    map_type = pa.map_(pa.string(), pa.float64())
    for prices in (
        PRICES,
        pa.array([[("amount", 0.5), ("bid", 0.5)], [("amount", 2), ("bid", 2)], None], map_type),
    ):
        assert read(parquet(tmp_path, {"user": users, "price": prices, "meta": META}), "a.parquet") == EXPECTED


def test_a_parquet_column_with_a_dot_in_its_name_counts_before_a_struct(read, tmp_path):
    users = pa.array([{"id": "nested", "device": {"os": "ios"}}] * 3)
    content = parquet(tmp_path, {"user": users, "user.id": ["x", "y", "z"], "price": PRICES, "meta": META})
    assert [row[1] for row in read(content, "a.parquet")] == ["x", "y", "z"]


def test_a_struct_without_the_key_lacks_the_column(read, store, day, tmp_path, landing, tiny_recipe, now, land_rows):
    content = parquet(tmp_path, {"user": pa.array([{"name": "x"}] * 3), "price": PRICES, "meta": META})
    land_rows("impressions", day, [], "a.parquet").write_bytes(content)
    land_rows("impressions", day, [EVENTS[0][1]])
    found = ingest(store, landing, tiny_recipe(**NESTED_RULES), day, now)
    assert "column missing: expected user.id, received ts" in found.unreadable["impressions/a.parquet"]
    assert found.unknown_columns == ()  # user, price and meta hold what is read


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_file_that_land_splits_keeps_its_nested_values(read, tmp_path, landing, tiny_recipe, day, name):
    users = pa.array([{"id": i, "device": {"os": o}} for i, o in (("u1", "ios"), ("700000", None), ("é", "[1]"))])
    nested = [nested for _, nested in EVENTS]
    content = lines(nested) if name == "a.jsonl" else parquet(tmp_path, {"user": users, "price": PRICES, "meta": META})
    (tmp_path / name).write_bytes(content)
    recipe = tiny_recipe(**NESTED_RULES)
    assert land_file(tmp_path / name, recipe, LocalLandingZone(landing)).rows == {day: 3}
    found = clean(landing, recipe, day)
    assert [tuple(row[key] for key in OURS) for row in found.rows] == EXPECTED
