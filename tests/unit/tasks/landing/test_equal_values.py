"""Rules of equal values: a key or a category is the same whatever type of number or id it landed as."""

import json
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.documents.day_documents import Attribution
from ctr_retrain.models.feature_kinds.arrow_columns import as_texts
from ctr_retrain.models.recipe.landing_section import Landing
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.landed_values import as_joined, as_text
from tests.support.counts import draws
from tests.support.landed_day import clean, impression, ingest, rows_of

AT = "2026-03-02T10:00:00Z"
ID = UUID("6fa459ea-ee8a-4ca4-894e-db77e160355e")
# Ways to write whole numbers, and UUIDs.
KEYS = {
    "integer": pa.array,
    "float beside a missing one": lambda ids: pa.array([*map(float, ids), None]),
    "float32": lambda ids: pa.array(ids, pa.float32()),
    "decimal": lambda ids: pa.array(map(Decimal, ids), pa.decimal128(38, 9)),
    "decimal without a scale": lambda ids: pa.array(map(Decimal, ids), pa.decimal128(38, 0)),
    "text": lambda ids: pa.array(map(str, ids)),
    "text of a float": lambda ids: pa.array(f"{number}.{'0' * (1 + number % 2)}" for number in ids),
    "bytes of a text": lambda ids: pa.array(str(number).encode() for number in ids),
}
UUIDS = {
    "text": lambda ids: pa.array(map(str, ids)),
    "bytes": lambda ids: pa.array(one.bytes for one in ids),
    "fixed bytes": lambda ids: pa.array([one.bytes for one in ids], pa.binary(16)),
    "UUID": lambda ids: pa.array([one.bytes for one in ids], pa.uuid()),
}


@pytest.fixture
def scratch(tmp_path):
    with duck.connect(tmp_path, threads=1) as connection:
        yield connection


def written(connection, column, sql=as_text, **options):
    """A column as ingest writes it."""
    connection.register("landed", pa.table({"v": column}))
    ((physical, *_),) = connection.execute("SELECT column_type FROM (DESCRIBE landed)").fetchall()
    query = f"SELECT {sql('v', physical, **options, landing=Landing())} FROM landed"  # noqa: S608 - of the test itself
    return [row[0] for row in connection.execute(query).fetchall()]


def land_parquet(landing, day, stream, name, columns):
    folder = landing / stream / f"dt={day}"
    folder.mkdir(parents=True, exist_ok=True)
    rows = len(columns["event_id"])
    constant = {key: pa.array([value] * rows) for key, value in columns.items() if isinstance(value, str)}
    pq.write_table(pa.table({**columns, **constant}), folder / name)


@pytest.fixture
def attributed(store, landing, tiny_recipe, day, now):
    """Land impressions whose ids are written in some ways, and of each two outcomes of each way; ingest all."""

    def run(impressions, ways, ids):
        plain = {"ts": AT, "user_id": "u", "channel": "ad", "campaign_id": "c"}
        each = 2 * len(ways)
        for place, way in enumerate(impressions):
            own = ids[each * place : each * (place + 1)]
            land_parquet(landing, day, "impressions", f"{place}.parquet", {"event_id": ways[way](own), **plain})
        for number, write in enumerate(ways.values()):
            own = [one for at in range(0, len(ids), each) for one in ids[at + 2 * number : at + 2 * number + 2]]
            columns = {"event_id": write(own), "ts": AT, "kind": "click"}
            land_parquet(landing, day, "outcomes", f"{number}.parquet", columns)
        return ingest(store, landing, tiny_recipe(), day, now).attribution

    return run


def test_outcomes_find_their_impression_whatever_type_of_number_the_id_is(attributed, store, day):
    impressions = ["integer", "decimal", "text of a float"]
    ids = list(range(700000, 700000 + 2 * len(KEYS) * len(impressions)))
    found = attributed(impressions, KEYS, ids)
    assert found == Attribution(outcomes=len(ids), found=len(ids), not_found=0, unnamed=0)
    for stream in ("impressions", "outcomes"):
        assert sorted(row["event_id"] for row in rows_of(store, day, stream)) == list(map(str, ids))
    assert sum(row["positives"] for row in rows_of(store, day, "profile.parquet")) == len(ids)


def test_bytes_of_a_uuid_are_that_uuid(attributed, store, day):
    ids = [UUID(int=ID.int + number) for number in range(2 * len(UUIDS) * len(UUIDS))]
    assert attributed(UUIDS, UUIDS, ids).found == len(ids)
    for stream in ("impressions", "outcomes"):
        assert sorted(row["event_id"] for row in rows_of(store, day, stream)) == sorted(map(str, ids))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_an_integer_category_beside_a_missing_one_is_the_same_category(landing, land_rows, tiny_recipe, day, name):
    devices = ["7", "7.0", "7.00", "7.50", "1.0.0", "v7.0", ""]
    land_rows("impressions", day, [impression(str(n), device=device) for n, device in enumerate(devices)], name)
    kept = clean(landing, tiny_recipe(), day).became("device")
    assert list(kept.values()) == ["7", "7", "7", "7.50", "1.0.0", "v7.0", None]


def test_values_of_a_list_are_written_as_single_ones_are(scratch):
    for lists in (pa.array([[1.0, None, 2.5]]), pa.array([["1.0", None, "2.5"]]), pa.array(["1.0|2.5"])):
        assert written(scratch, lists, as_joined, delimiter="|") == ["1|2.5"]
    assert written(scratch, pa.array([json.dumps([1.0, 2.5]), "[torn"]), as_joined, delimiter="|") == ["1|2.5", "[torn"]


ALIKE = st.one_of(
    st.lists(st.floats(allow_infinity=False) | st.none()).map(lambda values: pa.array(values, pa.float64())),
    st.lists(st.integers(-(2**63), 2**63 - 1)).map(lambda values: pa.array(values, pa.int64())),
    st.lists(st.decimals(-(10**9), 10**9, places=4)).map(lambda values: pa.array(values, pa.decimal128(20, 4))),
    st.lists(st.binary(min_size=16, max_size=16)).map(lambda values: pa.array(values, pa.binary())),
    st.lists(st.uuids()).map(lambda values: pa.array([value.bytes for value in values], pa.binary(16))),
    st.lists(st.from_regex(r"[+-]?[0-9]{1,4}(\.[05]{0,3})?", fullmatch=True)).map(lambda v: pa.array(v, pa.string())),
)


@pytest.fixture(scope="module")
def shared_scratch(tmp_path_factory):
    with duck.connect(tmp_path_factory.mktemp("duck"), threads=1) as connection:
        yield connection


@settings(max_examples=draws(20, 2000))
@given(column=ALIKE)
def test_what_serving_reads_of_a_column_is_what_ingest_writes(shared_scratch, column):
    ingested = [(text or "").encode() for text in written(shared_scratch, column)]
    assert as_texts(column, "v").tolist() == ingested


def test_what_cannot_be_known_is_counted(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, [impression(event) for event in ("007", "abc", "d", "e")])
    clicks = [{"event_id": event, "ts": AT, "kind": "click"} for event in ("7", "ABC", "d")]
    land_rows("outcomes", day, [*clicks, {"event_id": "e", "ts": AT, "kind": "Click"}])
    found = ingest(store, landing, tiny_recipe(), day, now).attribution
    assert found == Attribution(outcomes=4, found=1, not_found=2, unnamed=1, unnamed_kinds={"Click": 1})
    assert found.words == (
        "2 of 4 without an impression that landed on the same day; 1 of kinds that no channel names ('Click' 1)"
    )
