"""Rules of the recipe: what is shipped loads, and each mistake is named with key, expected, received."""

import re
import tomllib
from pathlib import Path

import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from tests.support.repository import RECIPES

SHIPPED = sorted(RECIPES.glob("*.toml"))
DEMO = next(path for path in SHIPPED if path.name == "demo.toml")

BEFORE_DRIFT_BY_SLICE = """
name = "small"
[channels.ad]
positive_ratio = [0.005, 0.2]
cost = { true_positive = -0.95, false_positive = 0.05 }
[[features]]
name = "segment"
kind = "categorical"
[gate]
max_cost_delta_per_1000 = 15
max_channel_cost_delta_per_1000 = 40
"""


@pytest.fixture
def load(tmp_path):
    """Load demo.toml with some of its text replaced."""

    def write(**replacements):
        text = DEMO.read_text(encoding="utf-8")
        for old, new in replacements.get("changes", {}).items():
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return load_recipe(path)

    return write


def mistakes(load, **changes):
    with pytest.raises(UsageError) as caught:
        load(changes={old: new for pair in changes.values() for old, new in [pair]})
    assert caught.value.exit_code == 2
    return caught.value.details["recipe_errors"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipe_loads_under_its_own_name(path):
    assert load_recipe(path).name == path.stem


def test_a_shipped_recipe_goes_by_its_name_unless_a_file_bears_it(tmp_path, monkeypatch):
    assert load_recipe(Path("demo")) == load_recipe(DEMO)
    monkeypatch.chdir(tmp_path)
    Path("demo").mkdir()
    assert load_recipe(Path("demo")) == load_recipe(DEMO)
    Path("avazu").write_text(DEMO.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_recipe(Path("avazu")) == load_recipe(DEMO)


def test_all_recipes_are_shipped():
    assert {path.stem for path in SHIPPED} == {"avazu", "criteo_attribution", "demo", "open_bandit"}


def commented_keys(path):
    """Keys of a recipe, and those of them that have a comment beside them or above them where they first stand."""
    keys, commented, above = set(), set(), ""
    for line in path.read_text(encoding="utf-8").splitlines():
        key = re.match(r"([a-z_0-9]+) *=", line)
        if key and key[1] not in keys:
            keys.add(key[1])
            commented |= {key[1]} if "#" in line or above.startswith("#") else set()
        above = line
    return keys, commented


def test_each_key_of_the_demo_recipe_has_a_comment():
    keys, commented = commented_keys(DEMO)
    assert keys - commented == set()
    assert len(keys) > 60


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_each_key_of_a_shipped_recipe_has_a_comment_there_or_in_the_demo_recipe(path):
    keys, commented = commented_keys(path)
    assert keys - commented - commented_keys(DEMO)[1] == set()


def test_demo_recipe_shows_every_key_that_there_is():
    shown = tomllib.loads(DEMO.read_text(encoding="utf-8"))
    whole = Recipe.model_validate(shown).model_dump()
    for name in ("landing", "training", "weights", "validation", "drift", "gate", "retention"):
        assert shown[name].keys() == whole[name].keys(), name
    assert shown["landing"]["columns"].keys() == whole["landing"]["columns"].keys()
    assert shown["channels"]["ad"].keys() == whole["channels"]["ad"].keys()
    of_features = (set().union(*(feature.keys() for feature in one["features"])) for one in (shown, whole))
    assert next(of_features) == next(of_features)


def test_unknown_key_is_refused_by_name(load):
    assert mistakes(load, typo=("half_life_days = 7", "half_live_days = 7")) == [
        "weights.half_live_days: expected no such key, received 7. Check its spelling or remove it"
    ]


def test_a_random_validation_split_is_refused_with_the_reason(load):
    (found,) = mistakes(load, split=("window_days = 14", "window_days = 14\nvalidation_split = 0.2"))
    assert found.startswith("training.validation_split: expected no such key, received 0.2: validation is by time")
    assert "weekday" in found


def test_missing_key_is_named(load):
    found = mistakes(load, gone=("max_cost_delta_per_1000 = 0.5", ""))
    assert found == ["gate.max_cost_delta_per_1000: expected a value, received nothing. Add the key"]


def test_every_mistake_is_told_at_once(load):
    assert len(mistakes(load, a=("seed = 7", 'seed = "x"'), b=("window_days = 14", "window_days = 0"))) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("window_days = 14", 'window_days = "14"', "training.window_days: expected a whole number, received '14'"),
        ("window_days = 14", "window_days = true", "training.window_days: expected a whole number, received True"),
        (
            "window_days = 14",
            "window_days = 0",
            "training.window_days: expected 1 or more, received 0",
        ),
        ("seed = 7", "seed = 7.5", "training.seed: expected a whole number, received 7.5"),
        (
            'network = "deepfm"',
            'network = "lstm"',
            "training.network: expected logistic_regression, deepfm, dcn_v2 or package.module:function",
        ),
        (
            "half_life_days = 7",
            "half_life_days = nan",
            "weights.half_life_days: expected a finite number, received nan",
        ),
        (
            'class_weight = "balanced"',
            'class_weight = "heavy"',
            "weights.class_weight: expected 'balanced', 'none', 'auto' or 'effective_number' or a table of keys and",
        ),
        (
            "calibration_ratio = [0.8, 1.25]",
            "calibration_ratio = [1.25, 0.8]",
            "gate.calibration_ratio: expected the lower bound first, received [1.25, 0.8]",
        ),
        (
            "positive_ratio = [0.005, 0.1]",
            "positive_ratio = [0.5, 10]",
            "channels.ad.positive_ratio.1: expected 1 or less, received 10",
        ),
        (
            'time = "iso"',
            'time = "unix"',
            "landing.time: expected iso, epoch_s, epoch_ms, epoch_us or a strptime format, received 'unix'",
        ),
        ('time = "iso"', 'time = "%d.%e.%Y"', "landing.time: expected iso, epoch_s, epoch_ms, epoch_us or a strptime"),
        ('time = "iso"', 'time = "%H:%M"', "landing.time: expected iso, epoch_s, epoch_ms, epoch_us or a strptime"),
        ('outcome_time = ""', 'outcome_time = "%Q"', "landing.outcome_time: expected iso, epoch_s, epoch_ms, epoch_us"),
        ('ts = "ts"', 'ts = ""', "landing.columns.ts: expected a text that is not empty, received ''"),
    ],
)
def test_wrong_value_is_named_with_what_was_expected_and_received(load, old, new, message):
    found = mistakes(load, wrong=(old, new))
    assert any(line.startswith(message) for line in found), found


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "segment"', 'name = "user_id"', "different names"),
        ('name = "segment"', 'name = "propensity"', "can't be a feature"),
        ('name = "segment"', 'name = "label"', "can't be a feature"),
        ('name = "segment"\n', 'name = "segment"\ncolumn = "served_probability"\n', "can't be a feature"),
        ('name = "segment"', 'name = "event_id"', "can't be a feature"),
        ('name = "segment"\n', 'name = "segment"\ncolumn = "ts"\n', "expected hour and weekday of ts"),
        ('name = "segment"\n', 'name = "segment"\ncolumn = "bid_floor"\n', "one kind a column"),
        ('channel = "channel"', 'channel = ""', "columns.channel or channel_constant"),
        ('channel_constant = ""', 'channel_constant = "mail"', "expected only 'mail'"),
        ("origin = 1970-01-01", "origin = 2016-01-01", "landing: expected origin only where times are numbers"),
        ("outcomes = []", 'outcomes = [{ kind = "click", column = "segment" }]', "['segment'] is known only after"),
        ("outcomes = []", 'outcomes = [{ kind = "x", column = "y", ts = "device" }]', "['device'] is known only after"),
        ("outcomes = []", 'outcomes = [{ kind = "a", column = "b" }, { kind = "a", column = "c" }]', "different kinds"),
        ("true_positive = -0.98, false_positive = 0.02", "true_positive = -0.98, false_positive = 0", "threshold"),
    ],
)
def test_recipe_that_contradicts_itself_is_refused(load, old, new, message):
    found = mistakes(load, wrong=(old, new))
    assert any(message in line for line in found), found


def test_column_of_yours_that_holds_the_label_is_no_feature_under_its_own_name_either(load):
    found = mistakes(
        load,
        inline=('label = ""', 'label = "clicked"'),
        leak=('name = "segment"\n', 'name = "segment"\ncolumn = "clicked"\n'),
    )
    assert "['clicked'] is known only after or outside the decision" in found[0]


def test_label_in_the_row_and_outcomes_in_the_row_exclude_each_other(load):
    found = mistakes(
        load,
        label=('label = ""', 'label = "clicked"'),
        outcomes=("outcomes = []", 'outcomes = [{ kind = "click", column = "clicked" }]'),
    )
    assert found == ["landing: expected columns.label or outcomes, received both: 'clicked' and ['click']"]


def test_a_recipe_of_before_keeps_its_digest(tmp_path):
    """Else the first night after an upgrade would have to prove a change that there was not."""
    path = tmp_path / "before.toml"
    path.write_text(BEFORE_DRIFT_BY_SLICE, encoding="utf-8")
    assert load_recipe(path).digest == "520a2f98c944fb25"  # as version 0.1.0 had it
    path.write_text(f"{BEFORE_DRIFT_BY_SLICE}[drift]\nfalse_alarms_per_year = 2\nslices = []\n", encoding="utf-8")
    assert load_recipe(path).digest == "520a2f98c944fb25"  # trains and judges alike
    path.write_text(f"{BEFORE_DRIFT_BY_SLICE}[drift]\nholds_training = true\n", encoding="utf-8")
    assert load_recipe(path).digest != "520a2f98c944fb25"


def test_digest_tells_content_and_nothing_else(load):
    demo = load_recipe(DEMO).digest
    reordered = {
        "half_life_days = 7             # a row this much older weighs half\n": "",
        "offset = true ": "half_life_days = 7\noffset = true ",
    }
    assert load(changes=reordered).digest == demo
    assert load(changes={"\nseed = 7": "\n#"}).digest == demo  # written out or left to its default
    assert load(changes={"runs_days = 90": "runs_days = 30"}).digest == demo  # neither trains nor judges
    assert load(changes={"half_life_days = 7": "half_life_days = 8"}).digest != demo


@pytest.mark.parametrize(
    ("change", "refreshes"),
    [
        ({"max_cost_delta_per_1000 = 0.5": "max_cost_delta_per_1000 = 0.7"}, True),
        ({"\nseed = 7": "\nseed = 8"}, True),
        ({"false_positive = 0.02": "false_positive = 0.03"}, True),
        ({"half_life_days = 7": "half_life_days = 8"}, False),
        ({"\nwindow_days = 14 ": "\nwindow_days = 13 "}, False),
    ],
)
def test_what_judges_makes_no_other_model_and_what_trains_does(load, change, refreshes):
    demo, changed = load_recipe(DEMO), load(changes=change)
    assert changed.digest != demo.digest  # another run in either case
    assert (changed.training_digest == demo.training_digest) == refreshes


@pytest.mark.parametrize("section", ["gate", "drift", "validation", "retention", "alerts"])
def test_no_key_of_a_section_that_judges_or_watches_is_of_what_trains(section):
    demo = load_recipe(DEMO)
    for key, value in getattr(demo, section).model_dump().items():
        if isinstance(value, bool | int | float):
            other = getattr(demo, section).model_copy(update={key: not value if isinstance(value, bool) else value + 1})
            assert demo.model_copy(update={section: other}).training_digest == demo.training_digest, key


def test_a_confirmed_feature_makes_no_other_recipe_and_is_named():
    demo = load_recipe(DEMO)
    first, *others = demo.features
    confirmed = demo.model_copy(update={"features": (first.model_copy(update={"known_before": True}), *others)})
    assert confirmed.digest == demo.digest  # a refresh of the champion stays one
    assert (demo.confirmed, confirmed.confirmed) == ((), (first.name,))
    assert Recipe.model_validate_json(confirmed.model_dump_json()) == confirmed


def test_a_half_life_that_is_left_open_is_half_of_the_window(tiny_recipe):
    assert tiny_recipe(training={"window_days": 274}).row_weights.half_life_days == 137
    assert tiny_recipe(training={"window_days": 1}).row_weights.half_life_days == 0.5
    own = tiny_recipe(training={"window_days": 274}, weights={"half_life_days": 7, "class_power": 0.5})
    assert own.row_weights == own.weights


def test_a_recipe_that_recalibrates_what_was_judged_is_judged_as_the_same_recipe(load):
    evaluated, recalibrated, fresh = (
        load(changes={'ship = "evaluated" ': f'ship = "{ship}" '}) for ship in ("evaluated", "recalibrated", "fresh")
    )
    assert recalibrated.training.ship == "recalibrated"
    assert recalibrated.digest == evaluated.digest  # a champion of either is refreshed by the other
    assert fresh.digest != evaluated.digest


def test_recipe_cannot_be_changed_after_it_was_checked():
    with pytest.raises(ValueError, match="frozen"):
        load_recipe(DEMO).name = "other"


def test_recipe_survives_the_json_of_a_model():
    recipe = load_recipe(DEMO)
    again = Recipe.model_validate(recipe.model_dump(mode="json"))
    assert again == recipe
    assert again.digest == recipe.digest


def test_file_that_is_no_recipe_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"expected a readable TOML file, received: No such file"):
        load_recipe(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(UsageError, match="expected TOML, received"):
        load_recipe(tmp_path / "broken.toml")


PRICED = {"true_positive = -0.98": 'true_positive = "0.02 - value"'}
BID = {'value = ""': 'value = "bid"'}


def test_a_cost_may_name_the_value_of_a_column_in_a_named_currency(load):
    assert load(changes=PRICED | BID).channels["ad"].cost.names_value
    for changes, mistake in (
        (PRICED, "landing.columns.value: expected your column, which a cost of ['ad'] names, received none"),
        (
            PRICED | BID | {'currency = "EUR"': ""},
            "currency: expected that of the values and of all costs, such as EUR, for ['ad'], received none",
        ),
    ):
        with pytest.raises(UsageError) as caught:
            load(changes=changes)
        assert caught.value.details["recipe_errors"] == [f"recipe: {mistake}"]


def test_prices_their_currency_and_what_only_judging_reads_train_nothing(load):
    plain = load()
    priced = load(
        changes={
            **PRICED,
            **BID,
            'currency = "EUR"': 'currency = "USD"',
            'propensity = ""': 'propensity = "chance"',
        }
    )
    assert priced.training_digest == plain.training_digest
    assert priced.digest != plain.digest  # other prices may decide otherwise
    assert load(changes={'currency = "EUR"': 'currency = "USD"'}).digest == plain.digest  # another name doesn't


def test_guardrails_are_of_kinds_that_a_gated_channel_labels_and_train_nothing(load):
    labelled = {"more_kinds = {} ": "more_kinds = { unsubscribe = 72 } "}
    guarded = {"guardrails = {} ": "guardrails = { unsubscribe = 0.05 } "}
    plain, with_bound = load(changes=labelled), load(changes=labelled | guarded)
    assert with_bound.gate.guardrails == {"unsubscribe": 0.05}
    assert with_bound.training_digest == plain.training_digest
    assert with_bound.digest != plain.digest
    with pytest.raises(UsageError) as caught:
        load(changes=guarded)
    (mistake,) = caught.value.details["recipe_errors"]
    assert (
        "expected kinds that a gated channel labels (more_kinds; here ['click']), received ['unsubscribe']" in mistake
    )
