"""Rules of other people's formats: small files as Avazu and Criteo write them, by the shipped recipes, to labels."""

import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime
from functools import partial
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.data.profile import expected_ranges, measure_day
from ctr_retrain.models.data.schema import landed_columns
from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import at
from tests.support.counts import draws
from tests.support.landed_day import quarantined, rows_of
from tests.support.repository import RECIPES

AVAZU = [
    *("id", "click", "hour", "C1", "banner_pos", "site_id", "site_domain", "site_category"),
    *("app_id", "app_domain", "app_category", "device_id", "device_ip", "device_model", "device_type"),
    *("device_conn_type", "C14", "C15", "C16", "C17", "C18", "C19", "C20", "C21"),
]
CRITEO = [
    *("timestamp", "uid", "campaign", "conversion", "conversion_timestamp", "conversion_id", "attribution", "click"),
    *("click_pos", "click_nb", "cost", "cpo", "time_since_last_click", *(f"cat{i}" for i in range(1, 10))),
]
OPEN_BANDIT = [
    *("timestamp", "item_id", "position", "click", "propensity_score", "policy", "campaign"),
    *(f"user_feature_{i}" for i in range(4)),
]


def avazu(number, hour, click="0", **changes):
    row = dict.fromkeys(AVAZU, "1fbe01fe")
    numbers = {"C1": "1005", "C14": "15706", "C17": "1722", "C20": "-1", "C21": "79", "device_ip": "ddd2926e"}
    return {**row, **numbers, "id": f"{10**19 + number}", "click": click, "hour": hour, **changes}


def criteo(timestamp, *, click=0, converted=None, **changes):
    row = dict.fromkeys(CRITEO, "-1") | {f"cat{i}": "29196072" for i in range(1, 10)}
    conversion = {"conversion": "0" if converted is None else "1", "conversion_timestamp": str(converted or -1)}
    row |= {"timestamp": str(timestamp), "uid": "20073966", "campaign": "22589171", "click": str(click), **conversion}
    return {**row, "attribution": "0", "cost": "1.0000000000000003e-05", "cpo": "0.39079433", **changes}


def land_into(folder, recipe, name, header, rows):
    """Write a file, gzipped if its name says so, and land it from the command line; answers what it printed."""
    separator = "\t" if ".tsv" in name else ","
    lines = [separator.join(header), *(separator.join(row[column] for column in header) for row in rows)]
    text = "".join(f"{line}\n" for line in lines).encode()
    path = folder / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    answer = at(folder / "root", folder / "landing", RECIPES / f"{recipe}.toml")("land", "--from", path, "--json")
    assert answer.status == 0, answer.stderr
    return answer.document


@pytest.fixture
def land(tmp_path, landing):
    return partial(land_into, tmp_path)


@pytest.fixture
def ingest_and_validate(store, landing, now):
    """Ingest days by a shipped recipe; answers each day's counts of impressions and outcomes."""

    def run(recipe, *days):
        rules = load_recipe(RECIPES / f"{recipe}.toml")
        found = [ingest_day(store, LocalLandingZone(landing), rules, day, now) for day in days]
        return [(ingested.impressions, ingested.outcomes) for ingested in found]

    return run


@pytest.fixture
def label(store):
    def run(recipe, event_day, as_of):
        found = label_day(store, load_recipe(RECIPES / f"{recipe}.toml"), event_day, as_of)
        return found.rows, found.positives

    return run


@pytest.fixture(scope="session")
def simulated_columns(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    simulate(World(seed=1, rows_per_day=100), date(2026, 3, 2), 1, folder)
    return pq.read_schema(folder / "landing" / "impressions" / "dt=2026-03-02" / "events.parquet").names


NOTHING = Counts(received=0, kept=0, duplicates=0, quarantined=0)
FIRST, SECOND = date(2014, 10, 21), date(2014, 10, 22)


@pytest.mark.parametrize("name", draws(["train.csv.gz"], ["train.csv", "train.csv.gz"]))
def test_avazu_hours_become_days_and_clicks_are_final_at_once(land, ingest_and_validate, label, store, name):
    rows = [
        avazu(1, "14102100", "1"),
        avazu(2, "14102123", device_ip="96809ac8"),
        avazu(3, "14102200"),
        avazu(4, "14102223", "1"),
        avazu(5, "14102223", "1"),
    ]
    document = land("avazu", name, AVAZU, rows)
    assert document["rows"] == {"2014-10-21": 2, "2014-10-22": 3}
    assert (document["outcomes"], document["malformed"]) == ({}, 0)
    assert ingest_and_validate("avazu", FIRST, SECOND) == [
        (Counts(received=2, kept=2, duplicates=0, quarantined=0), NOTHING),
        (Counts(received=3, kept=3, duplicates=0, quarantined=0), NOTHING),
    ]
    assert [label("avazu", day, day) for day in (FIRST, SECOND)] == [(2, 1), (3, 2)]
    first, last = sorted(rows_of(store, FIRST, "impressions"), key=lambda row: row["ts"])
    assert (first["event_id"], first["channel"], first["label"]) == ("10000000000000000001", "mobile", 1)
    assert (first["campaign_id"], first["C14"], first["user_id"], last["user_id"]) == (
        *("1722", "15706", "ddd2926e", "96809ac8"),
    )
    assert [row["ts"].isoformat() for row in (first, last)] == ["2014-10-21T00:00:00", "2014-10-21T23:00:00"]


def test_avazu_rows_with_a_bad_hour_click_or_id_are_quarantined_with_the_reason(land, ingest_and_validate, store):
    rows = [
        avazu(1, "14102100"),
        avazu(2, "14102199"),
        avazu(3, ""),
        avazu(4, "1413849600"),
        avazu(5, "14102105", "2"),
        avazu(6, "14102105", ""),
        avazu(0, "14102105", id=""),
        avazu(1, "14102106", "1"),
        avazu(7, "14102200"),
    ]
    assert land("avazu", "train.csv", AVAZU, rows)["rows"] == {"2014-10-21": 8, "2014-10-22": 1}
    assert ingest_and_validate("avazu", FIRST) == [(Counts(received=8, kept=2, duplicates=1, quarantined=5), NOTHING)]
    assert {row["row"]: row["reason"] for row in quarantined(store, FIRST)} == {
        2: "ts_unreadable",
        3: "ts_missing",
        4: "ts_unreadable",
        5: "label_wrong_type",
        7: "event_id_missing",
    }


def test_whole_avazu_day_meets_the_recipes_hours_although_its_times_are_whole_hours(land, ingest_and_validate, store):
    land("avazu", "train.csv", AVAZU, [avazu(hour, f"141021{hour:02}", str(int(hour % 6 == 0))) for hour in range(24)])
    (counts,) = ingest_and_validate("avazu", FIRST)
    recipe, profile = (
        load_recipe(RECIPES / "avazu.toml"),
        pa.Table.from_pylist(rows_of(store, FIRST, "profile.parquet")),
    )
    figures = measure_day(profile, FIRST, recipe, counts, unreadable_files=0)
    assert (figures["hours_covered"], figures["hours_since_last_event"]) == (24, 1.0)
    assert figures["positive_ratio[mobile]"] == 4 / 24
    failed = {
        expected.name
        for expected in expected_ranges(recipe)
        if not (expected.minimum or 0) <= figures[expected.name] <= (expected.maximum or figures[expected.name])
    }
    assert failed == {"rows"}  # 24 where a real day has millions


DAY, WEEK = 86_400, 604_800
START, NEXT, SEVENTH, EIGHTH = date(2017, 1, 1), date(2017, 1, 2), date(2017, 1, 8), date(2017, 1, 9)
CRITEO_ROWS = [
    criteo(0),
    criteo(-5, click=1),  # before the start of the data: no time
    criteo(2, click=1),
    criteo(3, click=1, converted=1_449_193, cost="9.4e-05"),  # on day 16, after the window
    criteo(DAY - 1, click=1, converted=DAY),  # on the next day
    criteo(DAY, converted=DAY),  # at once
    criteo(DAY, click=1, converted=DAY + WEEK),  # at the window's last second
    criteo(DAY + 1, converted=DAY + 1 + WEEK + 1),  # a second later
    criteo(DAY + 2, converted=-1),  # at an unknown time
    criteo(DAY + 3, converted=3),  # before the impression
    criteo(DAY + WEEK, click=1),
]
FILE = "criteo_attribution_dataset.tsv"


@pytest.fixture(scope="module", params=draws([""], ["", ".gz"]))
def criteo_days(request, tmp_path_factory):
    """The file landed, and the days of its impressions ingested: what both answered, and the store."""
    folder, recipe = tmp_path_factory.mktemp("criteo"), load_recipe(RECIPES / "criteo_attribution.toml")
    landed = land_into(folder, "criteo_attribution", FILE + request.param, CRITEO, CRITEO_ROWS)
    store, zone = LocalStore(folder / "root"), LocalLandingZone(folder / "landing")
    now = datetime(2017, 2, 1, tzinfo=UTC)
    days = [ingest_day(store, zone, recipe, day, now) for day in (START, NEXT, EIGHTH)]
    return SimpleNamespace(landed=landed, counts=[(day.impressions, day.outcomes) for day in days], store=store)


def test_criteo_seconds_become_days_and_outcomes_land_on_the_day_of_their_own_time(criteo_days):
    assert criteo_days.landed["rows"] == {"2017-01-01": 5, "2017-01-02": 5, "2017-01-09": 1}
    # Clicks: 4 on day 0 (one of an unreadable time), 1 on day 1, 1 on day 8. Conversions: on day 1 one of day 0, three
    # of its own (two of them without a possible time), on day 8 two, on day 16 one.
    assert criteo_days.landed["outcomes"] == {"2017-01-01": 4, "2017-01-02": 5, "2017-01-09": 3, "2017-01-17": 1}


def test_criteo_conversions_count_once_landed_and_within_the_window_only(criteo_days):
    counts = criteo_days.counts
    assert counts == [
        (
            Counts(received=5, kept=4, duplicates=0, quarantined=1),
            Counts(received=4, kept=3, duplicates=0, quarantined=1),
        ),
        (
            Counts(received=5, kept=5, duplicates=0, quarantined=0),
            Counts(received=5, kept=4, duplicates=0, quarantined=1),
        ),
        (
            Counts(received=1, kept=1, duplicates=0, quarantined=0),
            Counts(received=3, kept=3, duplicates=0, quarantined=0),
        ),
    ]
    assert sum(outcomes.received for _, outcomes in counts) + 1 == sum(criteo_days.landed["outcomes"].values())

    def label(event_day, as_of):
        found = label_day(criteo_days.store, load_recipe(RECIPES / "criteo_attribution.toml"), event_day, as_of)
        return found.rows, found.positives

    assert [label(START, as_of) for as_of in (START, NEXT, EIGHTH)] == [(4, 0), (4, 1), (4, 1)]
    assert [label(NEXT, as_of) for as_of in (NEXT, SEVENTH, EIGHTH)] == [(5, 1), (5, 1), (5, 2)]


def test_criteo_negative_times_are_quarantined_in_both_streams(criteo_days):
    found = [row for day in (START, NEXT) for row in quarantined(criteo_days.store, day)]
    assert Counter((row["stream"], row["reason"]) for row in found) == {
        ("impressions", "ts_unreadable"): 1,
        ("outcomes", "ts_unreadable"): 2,
    }
    raw = sorted(json.loads(row["raw"])["ts"] for row in found if row["stream"] == "outcomes")
    assert raw == ["-1", "-5"]


def test_criteo_cost_is_the_value_and_each_outcome_has_the_id_that_ingest_gave_its_row(criteo_days):
    store = criteo_days.store
    impressions = {row["event_id"]: row for row in rows_of(store, START, "impressions")}
    by_second = {row["ts"].hour * 3600 + row["ts"].minute * 60 + row["ts"].second: row for row in impressions.values()}
    assert {second: row["value"] for second, row in by_second.items()} == {
        0: 1.0000000000000003e-05,
        2: 1.0000000000000003e-05,
        3: 9.4e-05,
        DAY - 1: 1.0000000000000003e-05,
    }
    clicks = {row["event_id"]: row for row in rows_of(store, START, "outcomes")}
    assert {row["kind"] for row in clicks.values()} == {"click"}
    assert clicks.keys() == {by_second[second]["event_id"] for second in (2, 3, DAY - 1)}
    assert all(clicks[event_id]["ts"] == impressions[event_id]["ts"] for event_id in clicks)
    conversions = [row for row in rows_of(store, NEXT, "outcomes") if row["kind"] == "conversion"]
    (early,) = [row for row in conversions if row["event_id"].startswith("2017-01-01/")]
    assert early["event_id"] == by_second[DAY - 1]["event_id"]
    assert early["ts"].isoformat() == "2017-01-02T00:00:00"


@pytest.mark.parametrize("ending", draws([".gz"], ["", ".gz"]))
def test_criteo_file_landed_again_replaces_its_outcomes_too(land, landing, ending):
    land("criteo_attribution", FILE + ending, CRITEO, CRITEO_ROWS)
    name = next((landing / "impressions" / "dt=2017-01-01").iterdir()).name.removesuffix(".parquet")
    other = landing / "outcomes" / "dt=2017-01-17" / "other.jsonl"
    other.write_text("", encoding="utf-8")
    answer = land("criteo_attribution", name, CRITEO, CRITEO_ROWS[:3])
    assert answer["outcomes"] == {"2017-01-01": 2}
    assert sorted(path.relative_to(landing).as_posix() for path in landing.glob("*/dt=*/*")) == [
        f"impressions/dt=2017-01-01/{name}.parquet",
        f"outcomes/dt=2017-01-01/{name}.parquet",
        "outcomes/dt=2017-01-17/other.jsonl",
    ]


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_columns_of_a_shipped_recipe_exist_in_its_format(recipe, simulated_columns):
    formats = {"avazu": AVAZU, "criteo_attribution": CRITEO, "open_bandit": OPEN_BANDIT, "demo": simulated_columns}
    named = {column.source for column in landed_columns(load_recipe(RECIPES / f"{recipe}.toml"))}
    assert named <= set(formats[recipe])


@pytest.mark.parametrize("recipe", ["avazu", "criteo_attribution"])
def test_columns_known_only_later_are_no_features(recipe):
    later = {"click", "conversion", "conversion_timestamp", "conversion_id", "attribution", "click_pos", "click_nb"}
    features = load_recipe(RECIPES / f"{recipe}.toml").features
    assert not {source for feature in features for source in feature.sources} & {*later, "cpo", "cost", "value"}
