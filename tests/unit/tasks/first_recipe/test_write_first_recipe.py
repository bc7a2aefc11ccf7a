"""A first recipe is right for files as other people's software writes them, and reads without editing."""

import json
from datetime import UTC, date, datetime
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.first_recipe.recipe_text import Prices
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.first_recipe.write_first_recipe import first_recipe
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file, land_streams
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support import exports
from tests.support.counts import draws
from tests.support.landed_day import rows_of

PRICES = Prices.of(0.05, 1)
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def recipe_of(path, folder):
    """What `init` answers for a file, and the recipe that it wrote."""
    target = folder / "first.toml"
    answer = first_recipe(path, PRICES, target)
    return answer, load_recipe(target)


@pytest.fixture(scope="module")
def initialised(tmp_path_factory):
    """An export, what `init` answers for it, and the recipe that it wrote: each made once."""

    @cache
    def of(make):
        folder = tmp_path_factory.mktemp(make.__name__)
        source = make(folder)
        return source, *recipe_of(source, folder)

    return of


@pytest.fixture(scope="module")
def ad_manager(tmp_path_factory):
    """Impressions and clicks in files of their own, what `init` answers for them, and the recipe that it wrote."""
    folder = tmp_path_factory.mktemp("ad_manager")
    shown, clicks = exports.ad_manager(folder)
    answer = first_recipe(shown, PRICES, folder / "first.toml", clicks)
    return shown, clicks, answer, load_recipe(folder / "first.toml")


@pytest.fixture(scope="module")
def second_day(initialised, tmp_path_factory):
    """What `land` answers for an export, and its second day, ingested into a store: each made once."""

    @cache
    def of(make):
        source, _, recipe = initialised(make)
        folder = tmp_path_factory.mktemp("landed")
        landed = land_file(source, recipe, zone := LocalLandingZone(folder / "landing"))
        store = LocalStore(folder / "root")
        return landed, ingest_day(store, zone, recipe, list(landed.rows)[1], NOW), store

    return of


def features_of(recipe):
    return {feature.name: feature.kind for feature in recipe.features}


def test_avazu_has_its_hours_its_ids_and_an_inline_label(initialised):
    _, answer, recipe = initialised(exports.avazu)
    landing = recipe.landing
    assert (landing.time, landing.event_id_columns, landing.columns.ts) == ("%y%m%d%H", ("id",), "hour")
    assert (landing.columns.user_id, landing.columns.label, landing.outcomes) == ("device_ip", "click", ())
    kinds = features_of(recipe)
    assert kinds["c14"] == kinds["c21"] == kinds["banner_pos"] == "categorical"  # codes, not amounts
    assert answer.left_out == {"C1": "one value only", "device_id": "one value only"}
    assert answer.first_verdict_day == date(2026, 3, 9)  # six days of training and three of validation, from 1 March
    assert answer.missing_days == 1


def test_criteo_counts_from_a_start_nobody_knows_and_has_two_outcomes(initialised):
    _, answer, recipe = initialised(exports.criteo)
    assert (recipe.landing.time, recipe.landing.event_id_from) == ("epoch_s", "file_row")
    click, conversion = recipe.landing.outcomes
    assert (click.kind, click.column, click.ts) == ("click", "click", "")
    assert (conversion.column, conversion.ts) == ("conversion", "conversion_timestamp")
    assert recipe.landing.columns.user_id == "uid"
    assert recipe.landing.columns.campaign_id == "campaign"
    assert {"conversion_id", "click_pos", "click_nb", "attribution"} <= answer.left_out.keys()
    assert any("start that the file doesn't say" in doubt for doubt in answer.unsure)


def test_one_signal_says_yes_by_a_time_and_has_a_window(initialised):
    _, answer, recipe = initialised(exports.one_signal)
    (click,) = recipe.landing.outcomes
    assert (click.kind, click.column, click.ts) == ("click", "clicked_at", "clicked_at")
    (channel,) = recipe.channels.values()
    assert channel.attribution_window_hours == 6  # 95 % of a mean of 40 minutes are 2 hours
    assert answer.user_id == "onesignal_id"
    assert features_of(recipe)["app_version"] == "categorical"


def test_ga4_counts_microseconds_and_its_objects_values_are_columns(initialised, second_day):
    _, answer, recipe = initialised(exports.ga4)
    assert (recipe.landing.time, recipe.landing.columns.ts) == ("epoch_us", "event_timestamp")
    assert (answer.user_id, answer.campaign_id) == ("user_pseudo_id", "promotion_id")
    assert "objects" in answer.left_out["device"]
    assert "objects" in answer.left_out["event_params"]  # lists of them
    (feature,) = (feature for feature in recipe.features if feature.name == "device_operating_system")
    assert feature.sources == ("device.operating_system",)
    _, ingested, store = second_day(exports.ga4)
    kept = {row["device.operating_system"] for row in rows_of(store, ingested.day, "impressions")}
    assert kept == {"iOS", "Android"}
    assert "one value" in answer.left_out["event_name"]


def test_what_makes_the_label_is_written_down_as_a_leak(tmp_path):
    answer, recipe = recipe_of(exports.movielens(tmp_path, liked=True), tmp_path)
    assert answer.leaks.keys() == {"rating"}
    assert "rating" not in features_of(recipe)
    text = (tmp_path / "first.toml").read_text(encoding="utf-8")
    assert '# name = "rating"' in text  # to be taken back by hand
    assert (answer.user_id, answer.campaign_id, recipe.landing.time) == ("userId", "movieId", "epoch_s")


def test_ratings_alone_are_refused_with_the_column_to_make(tmp_path):
    with pytest.raises(DataRejectedError, match=r"'rating' holds numbers from 1 to 5: make one of it, .* from 4 on"):
        recipe_of(exports.movielens(tmp_path, liked=False), tmp_path)
    assert not (tmp_path / "first.toml").exists()


def test_a_bank_says_yes_and_no_and_how_long_it_talked(initialised):
    _, answer, recipe = initialised(exports.bank)
    assert (recipe.landing.time, recipe.landing.columns.ts) == ("%d.%m.%Y %H:%M", "datum")
    assert (recipe.landing.delimiter, recipe.landing.decimal) == (";", ",")
    assert features_of(recipe)["balance"] == "numeric"
    assert answer.outcomes == {"positive": "y"}
    assert "duration" in answer.left_out["duration"]
    assert any("zone" in doubt for doubt in answer.unsure)


@pytest.mark.parametrize("make", [exports.avazu, exports.one_signal, exports.criteo, exports.ga4])
def test_the_file_lands_and_is_ingested_by_its_first_recipe(initialised, second_day, make):
    _, answer, recipe = initialised(make)
    landed, day, _ = second_day(make)
    assert sum(landed.rows.values()) == answer.rows == exports.DAYS * exports.ROWS
    assert len(landed.rows) == exports.DAYS
    assert (day.impressions.kept, day.impressions.quarantined, day.outcomes.quarantined) == (exports.ROWS, 0, 0)
    if not recipe.inline_label and len(recipe.landing.outcomes) == 1:
        assert sum(landed.outcomes.values()) == round(answer.seen_rate * answer.rows)


def test_yes_and_no_land_as_outcomes(initialised, tmp_path):
    source, answer, recipe = initialised(exports.bank)
    landed = land_file(source, recipe, LocalLandingZone(tmp_path / "landing"))
    assert sum(landed.outcomes.values()) == round(answer.seen_rate * answer.rows) > 0


def test_parquet_types_say_what_texts_would(tmp_path):
    times = [datetime(2026, 3, 1 + n // 24, n % 24, tzinfo=UTC) for n in range(24 * 9)]
    table = pa.table({
        "impression_id": [f"i{n}" for n in range(len(times))],
        "shown_at": pa.array(times, pa.timestamp("us", "UTC")),
        "user_id": [f"u{n % 50}" for n in range(len(times))],
        "channel": ["push" if n % 2 else "ad" for n in range(len(times))],
        "tags": [["a", "b"][: n % 3] for n in range(len(times))],
        "clicked": [n % 7 == 0 for n in range(len(times))],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "log.parquet")
    answer, recipe = recipe_of(tmp_path / "log.parquet", tmp_path)
    assert (recipe.landing.time, recipe.landing.event_id_columns) == ("iso", ("impression_id",))
    assert recipe.channels.keys() == {"ad", "push"}
    assert recipe.landing.channel_constant == ""
    assert features_of(recipe)["tags"] == "multi_valued"
    assert not any("zone" in doubt for doubt in answer.unsure)


def refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataRejectedError) as error:
        recipe_of(path, tmp_path)
    return str(error.value)


def test_a_file_that_land_could_not_read_is_refused_with_what_to_type(tmp_path):
    western = refused(tmp_path, "c.csv", "name,ts\nMüller,1\n".encode("cp1252"))
    assert "cat c.csv | iconv -f WINDOWS-1252 -t UTF-8 > utf8-c.csv" in western
    snowplow = b"web\tpc\t2026-03-01 10:00:00.123\t\tpage_view\n" * 3
    assert "names in the first line, received a row: ['web', 'pc'" in refused(tmp_path, "e.tsv", snowplow)
    assert "expected" in refused(tmp_path, "f.csv", b"")
    assert "expected" in refused(tmp_path, "g.csv", b"id,ts,click\n")
    assert "each impression's time" in refused(tmp_path, "h.csv", b"id,name,click\n1,a,0\n2,b,1\n")
    assert "expected a column of 0 and 1" in refused(tmp_path, "i.csv", b"id,ts\n1,2026-03-01\n2,2026-03-02\n")
    assert not (tmp_path / "first.toml").exists()


def test_outcomes_in_a_file_of_their_own_are_found_by_the_values_that_both_hold(ad_manager):
    _, clicks, answer, recipe = ad_manager
    landing = recipe.landing
    assert landing.event_id_columns == (landing.outcome_columns.event_id,) == ("ImpressionId",)
    assert (landing.columns.ts, landing.outcome_columns.ts, landing.time) == ("TimeUsec2", "TimeUsec2", "epoch_us")
    assert landing.outcome_kind == "click"  # by the file's name
    assert (answer.user_id, answer.campaign_id) == ("UserId", "LineItemId")
    assert 0.05 < answer.seen_rate < 0.15
    assert f"--outcomes {clicks}" in answer.next_commands[0]


def test_an_event_log_is_taken_apart_and_its_outcomes_find_their_impressions_by_two_columns(initialised, second_day):
    _, answer, recipe = initialised(exports.one_signal_events)
    log = recipe.landing.event_log
    assert (log.column, log.impressions) == ("event_kind", ("message.push.sent",))  # received ones would count twice
    assert set(recipe.landing.event_id_columns) == {"message_id", "onesignal_id"}
    (channel,) = recipe.channels.values()
    assert channel.positive_kind == "message.push.clicked"
    assert answer.rows == exports.DAYS * exports.ROWS
    landed, day, _ = second_day(exports.one_signal_events)
    assert sum(landed.rows.values()) == answer.rows
    assert (day.impressions.kept, day.impressions.quarantined, day.outcomes.quarantined) == (exports.ROWS, 0, 0)
    assert day.attribution.not_found <= 3  # of impressions just before midnight


def test_a_file_of_outcomes_lands_by_its_own_days_and_again_in_its_place(ad_manager, tmp_path, store):
    shown, clicks, answer, recipe = ad_manager
    zone = LocalLandingZone(tmp_path / "landing")
    landed = land_streams(shown, clicks, recipe, zone)
    assert land_streams(shown, clicks, recipe, zone) == landed
    assert sum(landed.outcomes.values()) == round(answer.seen_rate * answer.rows)
    day = ingest_day(store, zone, recipe, list(landed.rows)[1], NOW)
    assert (day.outcomes.kept, day.outcomes.quarantined) == (landed.outcomes[day.day], 0)


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ("ImpressionId,Time\nno,2026-03-01\nnone,2026-03-02\n", "whose values are ids of impressions"),
        ("ImpressionId\nI000000001\nI000000002\n", "expected a column with each outcome's time"),
        ("ImpressionId;Time\nI000000001;2026-03-01\nI000000002;2026-03-01\n", "expected the impressions' delimiter"),
    ],
)
def test_outcomes_that_find_no_impression_are_refused(ad_manager, tmp_path, outcomes, words):
    shown, *_ = ad_manager
    (tmp_path / "clicks.csv").write_text(outcomes, encoding="utf-8")
    with pytest.raises(DataRejectedError, match=words):
        first_recipe(shown, PRICES, tmp_path / "first.toml", tmp_path / "clicks.csv")


def test_a_column_of_kinds_that_is_no_event_log_leaves_the_label_where_it_stands(tmp_path):
    path = tmp_path / "ads.csv"
    rows = [
        f"i{n},2026-03-0{1 + n // 40}T{n % 24:02}:00:00Z,{['display', 'click'][n % 2]},{n % 3 == 0}" for n in range(200)
    ]
    path.write_text("\n".join(["impression_id,ts,type,clicked", *rows]) + "\n", encoding="utf-8")
    answer, recipe = recipe_of(path, tmp_path)
    assert answer.outcomes == {"click": "clicked"}
    assert recipe.landing.event_log.column == ""
    assert features_of(recipe)["type"] == "categorical"


def test_keys_that_have_to_stay_say_so(initialised):
    source, *_ = initialised(exports.avazu)
    lines = source.with_name("first.toml").read_text(encoding="utf-8").splitlines()
    keys = ("name", "positive_ratio", "cost", "max_cost_delta_per_1000", "max_channel_cost_delta_per_1000")
    for key in keys:
        assert "# required" in next(line for line in lines if line.startswith(f"{key} = ")), key


def test_nothing_is_written_over_and_a_file_has_to_be_there(tmp_path):
    source = exports.avazu(tmp_path)
    with pytest.raises(UsageError, match="expected a file, received none"):
        first_recipe(tmp_path / "none.csv", PRICES, tmp_path / "first.toml")
    (tmp_path / "first.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="expected no file"):
        first_recipe(source, PRICES, tmp_path / "first.toml")
    assert (tmp_path / "first.toml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("prices", [(0, 1), (1, 1), (2, 1), (-1, 1), (0.1, float("inf")), (float("nan"), 1)])
def test_prices_by_which_nothing_is_a_choice_are_refused(prices):
    with pytest.raises(UsageError, match="--cost-send and --value-click"):
        Prices.of(*prices)


@pytest.mark.parametrize("currency", ["eur", "EURO", "€", "E1R"])
def test_a_currency_is_three_capitals(currency):
    assert Prices.of(0.1, 1, "CHF").currency == "CHF"
    with pytest.raises(UsageError, match="--currency: expected three capitals such as EUR, received"):
        Prices.of(0.1, 1, currency)


NAMES = st.one_of(
    st.sampled_from(["ts", "label", "event_id", "user_id", "User_ID", "channel", "value", "Hour", "_row", "campaign"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12),
)
VALUES = st.sampled_from(
    [
        "",
        "a",
        "B|c",
        "1",
        "2.5",
        "-1",
        "12,5",
        "NULL",
        "2026-03-01",
        "é\u2028",
        '"',
        "\x7f",
        "{}",
        '{"a": {"b": 1, "B": 2, "": 3, "c.d": 4, "e": [5]}}',
        '[{"x": 1}]',
    ]
)


@settings(max_examples=draws(2, 500), deadline=None, suppress_health_check=list(HealthCheck))
@given(columns=st.dictionaries(NAMES, st.lists(VALUES, min_size=6, max_size=6), max_size=6))
def test_whatever_columns_there_are_the_recipe_can_be_read(tmp_path_factory, columns):
    folder = tmp_path_factory.mktemp("any")
    path = folder / "any.jsonl"
    rows = [
        {
            **{name: values[n] for name, values in columns.items()},
            "shown": f"2026-03-0{n + 1}T10:00:00Z",
            "click": n % 2,
        }
        for n in range(6)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    answer, recipe = recipe_of(path, folder)
    assert answer.rows == 6
    assert recipe.gate.min_rows >= 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_and_wide_letters_change_nothing(tmp_path, encoding):
    path = exports.avazu(tmp_path)
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    answer, recipe = recipe_of(path, tmp_path)
    assert (answer.rows, recipe.landing.event_id_columns) == (exports.DAYS * exports.ROWS, ("id",))
