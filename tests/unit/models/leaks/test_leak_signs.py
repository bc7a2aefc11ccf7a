"""Rules of finding what is known only after the decision, each on data that is made for it."""

from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.leaks.leak_signs import LABEL, LabelledSample, find_leaks, names_to_confirm
from ctr_retrain.models.leaks.telling_names import telling_words
from ctr_retrain.models.recipe.head_section import UNKNOWN
from ctr_retrain.models.recipe.recipe import load_recipe
from tests.support.counts import draws
from tests.support.repository import RECIPES

ROWS, DAYS = 20_000, 8
rng = np.random.default_rng
START = datetime(2026, 3, 2)  # noqa: DTZ001 - as times land


@cache
def drawn_world():
    draw = rng(7)
    place = draw.integers(1, 7, ROWS)
    label = (draw.random(ROWS) < 0.16 / place**0.5).astype(np.uint8)
    day = np.sort(draw.integers(0, DAYS, ROWS))
    columns = {
        "place": pa.array(place.astype(str).tolist()),
        "user": pa.array([f"u{user}" for user in draw.integers(0, ROWS, ROWS)]),
        "bid": pa.array(draw.normal(size=ROWS)),
        "ts": pa.array([START + timedelta(days=int(one), hours=3) for one in day]),
    }
    return label, day, columns


def world():
    """Clicks that an honest place foretells a little and a user not at all: label, day, and honest columns."""
    label, day, columns = drawn_world()
    return label.copy(), day.copy(), dict(columns)


HONEST = [
    {"name": "place", "kind": "categorical"},
    {"name": "user", "kind": "categorical"},
    {"name": "bid", "kind": "numeric"},
    {"name": "hour", "kind": "hour"},
]


def sample(label, day, columns, channel=None, **heads):
    channel = np.full(len(label), "ad") if channel is None else channel
    return LabelledSample(pa.table(columns), channel, {LABEL: label, **heads}, day % 2 == 0)


def found(made, *more):
    features = [feature_of(entry) for entry in (*HONEST, *more)]
    return {one.name: one for one in find_leaks(made, features)}


def held(made, *more):
    return [name for name, one in found(made, *more).items() if one.held]


def watch_time(label, seed=1):
    """Seconds that a video was watched: long after a click, with some noise; the AUC is about 0.98."""
    return np.exp(rng(seed).normal(2.9 * label, 1.0))


LEAKS = {
    "numeric": lambda label: ({"x": watch_time(label)}, {}),
    "bucketed": lambda label: ({"x": watch_time(label)}, {}),
    "categorical": lambda label: ({"x": np.where(watch_time(label) > 4, "long", "short")}, {}),
    "multi_valued": lambda label: (
        {"x": [f"a|b{i % 50}" + ("|bought" if y else "") for i, y in enumerate(label)]},
        {},
    ),
    "crossed": lambda label: (
        {"p": np.arange(len(label)) % 2, "q": (np.arange(len(label)) + label) % 2},
        {"columns": ["p", "q"]},
    ),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_a_feature_of_each_kind_that_the_outcome_made_holds_the_run_and_no_other_does(kind):
    label, day, columns = world()
    more, keys = LEAKS[kind](label)
    columns |= {name: [str(v) for v in values] if name in "pq" else list(values) for name, values in more.items()}
    made = found(sample(label, day, columns), {"name": "x", "kind": kind, **keys})
    assert [name for name, one in made.items() if one.held] == ["x"]
    assert "figures" in made["x"].signs
    assert "by itself it has an AUC of" in made["x"].message


def test_honest_features_hold_nothing_and_an_id_of_each_row_tells_nothing():
    made = found(sample(*world()))
    assert not any(one.held for one in made.values())
    assert made["user"].figures.auc < 0.55
    assert made["hour"].figures is None  # the impression's own time is known


def test_a_confirmed_feature_is_shown_with_its_signs_and_holds_nothing():
    label, day, columns = world()
    columns["x"] = watch_time(label)
    one = found(sample(label, day, columns), {"name": "x", "kind": "numeric", "known_before": True})["x"]
    assert (one.held, one.confirmed, one.signs) == (False, True, ("figures",))


def test_two_leaks_do_not_hide_each_other_and_a_confirmed_one_hides_none():
    label, day, columns = world()
    columns |= {"x": watch_time(label), "y": watch_time(label, seed=2)}
    x, y = ({"name": name, "kind": "numeric"} for name in "xy")
    assert held(sample(label, day, columns), x, y) == ["x", "y"]
    assert held(sample(label, day, columns), {**x, "known_before": True}, y) == ["y"]


@pytest.mark.parametrize(
    "filled",
    [
        pytest.param(lambda label, noise: label == 1, id="on positives only"),
        pytest.param(lambda label, noise: label == 0, id="on negatives only"),
        pytest.param(lambda label, noise: (label == 1) & (noise < 0.3), id="on some positives only"),
        pytest.param(lambda label, noise: (label == 0) & (noise < 0.5), id="never on positives, on half of the others"),
        pytest.param(lambda label, noise: noise < np.where(label == 1, 0.6, 0.01), id="mostly on positives"),
    ],
)
@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_a_column_that_is_filled_otherwise_on_positives_holds_the_run_whatever_it_holds(filled, kind):
    label, day, columns = world()
    there = filled(label, rng(3).random(len(label)))
    columns["x"] = pa.array(rng(4).integers(0, 9, len(label)) * 1.0, mask=~there)
    if kind == "categorical":
        columns["x"] = columns["x"].cast(pa.string())
    one = found(sample(label, day, columns), {"name": "x", "kind": kind})["x"]
    assert one.held
    assert "filled" in one.signs


def test_a_column_that_is_often_missing_but_not_by_the_label_holds_nothing():
    label, day, columns = world()
    columns["x"] = pa.array(np.ones(len(label)), mask=rng(5).random(len(label)) < np.where(label == 1, 0.5, 0.8))
    assert not held(sample(label, day, columns), {"name": "x", "kind": "numeric"})


@pytest.mark.parametrize("as_text", [False, True])
def test_a_time_known_afterwards_is_found_by_its_distance_to_the_one_that_was_planned(as_text):
    label, day, columns = world()
    delay = np.where(label == 1, 5.0, 0.0) + rng(6).random(len(label))
    planned = rng(8).random(len(label)) * 20
    if as_text:  # a date, beside the impression's own time
        actual = [
            str((START + timedelta(days=int(d), hours=12) + timedelta(days=int(late))).date())
            for d, late in zip(day, delay, strict=True)
        ]
        more = [{"name": "happened_on", "kind": "categorical"}]
        columns["happened_on"] = actual
    else:
        columns |= {"planned": planned, "happened_on": planned + delay}
        more = [{"name": name, "kind": "numeric"} for name in ("planned", "happened_on")]
    made = found(sample(label, day, columns), *more)
    assert [name for name, one in made.items() if one.held] == ["happened_on"]
    assert f"its difference to {'ts' if as_text else 'planned'!r}" in made["happened_on"].message
    assert not held(sample(label, day, columns), *({**entry, "known_before": True} for entry in more))


def test_a_name_alone_is_a_hint_and_with_figures_that_go_with_it_a_reason():
    label, day, columns = world()
    weak = rng(9).normal(1.3 * label)  # an AUC of 0.82, as a call's duration has
    columns |= {"duration": weak, "strength": weak, "status": rng(10).normal(size=len(label))}
    numeric = [{"name": name, "kind": "numeric"} for name in ("strength", "status")]
    made = found(sample(label, day, columns), *numeric)
    assert (made["status"].signs, made["status"].held) == (("name",), False)
    assert not made["strength"].signs  # an honest feature may be as good as that
    duration = found(sample(label, day, columns), {"name": "duration", "kind": "numeric"})["duration"]
    assert (duration.signs, duration.held) == (("figures", "name"), True)
    warning = names_to_confirm([feature_of(entry) for entry in numeric])
    assert list(warning) == ["status"]
    assert "known_before = true" in warning["status"]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_no_shipped_recipe_has_a_name_to_confirm(path):
    assert not names_to_confirm(load_recipe(path).features)


def test_the_line_lies_between_what_only_an_outcome_tells_and_the_best_honest_feature():
    """An AUC of at least 0.85 and 45 % of the entropy: where noise hides more, no figure tells a leak from a good
    feature, and what would hold the one would hold the other."""
    label, day, columns = world()
    columns |= {"sharp": rng(1).normal(2.6 * label), "blurred": rng(1).normal(1.3 * label)}
    assert held(sample(label, day, columns), {"name": "sharp", "kind": "numeric"}) == ["sharp"]
    assert not held(sample(label, day, columns), {"name": "blurred", "kind": "numeric"})


def test_a_strong_feature_among_others_as_strong_is_none_that_stands_out():
    """Which app was shown and in which channel tell an install alike: both are known before."""
    draw = rng(11)
    app = draw.integers(0, 100, ROWS)
    label = (draw.random(ROWS) < np.where(app < 3, 0.25, 0.002)).astype(np.uint8)
    _, day, columns = world()
    columns |= {
        "app": app.astype(str).tolist(),
        "shop": np.where(draw.random(ROWS) < 0.9, app, 50).astype(str).tolist(),
    }
    made = sample(label, day, columns)
    figures = found(made, {"name": "app", "kind": "categorical"})["app"].figures
    assert figures.auc > 0.85
    assert figures.explained > 0.25
    assert not held(made, *({"name": name, "kind": "categorical"} for name in ("app", "shop")))


def test_few_positives_raise_no_alarm_by_chance():
    """Of worlds with 25 positives and 20 features of noise, some of them hardly ever filled, none is held."""
    for seed in range(draws(8, 30)):
        draw = rng(seed)
        label = np.zeros(2_000, np.uint8)
        label[draw.choice(2_000, 25, replace=False)] = 1
        day = np.arange(2_000) % DAYS
        columns = {f"f{i}": pa.array(draw.normal(size=2_000), mask=draw.random(2_000) < i / 20) for i in range(20)}
        columns["ts"] = [START] * 2_000
        features = [feature_of({"name": f"f{i}", "kind": "numeric"}) for i in range(20)]
        assert not [one for one in find_leaks(sample(label, day, columns), features) if one.signs]


def test_of_fewer_positives_nothing_is_said():
    label, day, columns = world()
    label[np.flatnonzero(label)[19:]] = 0
    columns["x"] = label * 1.0
    made = found(sample(label, day, columns), {"name": "x", "kind": "numeric"})
    assert all(one.figures is None and not one.held for one in made.values())


def test_a_column_that_only_one_channel_has_is_no_leak_where_the_channels_ratios_differ():
    draw = rng(12)
    push = draw.random(ROWS) < 0.5
    label = (draw.random(ROWS) < np.where(push, 0.6, 0.01)).astype(np.uint8)
    _, day, columns = world()
    columns["x"] = pa.array(draw.normal(size=ROWS), mask=~push)
    made = sample(label, day, columns, channel=np.where(push, "push", "ad"))
    assert not held(made, {"name": "x", "kind": "numeric"})


def test_a_feature_that_tells_another_head_s_label_holds_the_run_and_says_which():
    label, day, columns = world()
    bought = np.where(label == 1, rng(13).integers(0, 2, len(label)), 0).astype(np.uint8)
    bought[day == DAYS - 1] = UNKNOWN  # too young
    columns["x"] = pa.array(rng(14).normal(size=len(label)), mask=bought != 1)
    one = found(sample(label, day, columns, buy=bought), {"name": "x", "kind": "numeric"})["x"]
    assert one.held
    assert one.figures.label == "buy"
    assert "kind 'buy'" in one.message


def test_the_label_of_another_kind_that_follows_a_click_is_found_as_a_feature():
    label, day, columns = world()
    columns["converted"] = np.where(label == 1, rng(15).integers(0, 2, len(label)), 0) * 1.0
    assert held(sample(label, day, columns), {"name": "converted", "kind": "numeric"}) == ["converted"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("watch_time", ["watch"]),
        ("reservation_status", ["status"]),
        ("isConverted", ["converted"]),
        ("arr_delay", ["delay"]),
        ("next_read_time", ["next", "read"]),
        ("previous_cancellations", []),
        ("avg_watch_time", []),
        ("clicks_last_7_days", []),
        ("sched_arr_time", []),
        ("arrival_date_month", []),
        ("reader_id", []),
        ("marital_status", []),
        ("call_duration", ["duration"]),
        ("video_duration", []),
        ("video_watch_duration", ["watch"]),
    ],
)
def test_words_of_a_name_tell_unless_others_say_the_contrary(name, words):
    assert telling_words(name) == words
