"""Rules of a recipe's mistakes: whatever is wrong, each wrong key is named at once, in words of the recipe's own."""

import json
import re
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.recipe import recipe as recipe_module
from ctr_retrain.models.recipe.recipe import load_recipe
from tests.support.counts import draws
from tests.support.repository import RECIPES

# What a library says, and nobody who writes a recipe does.
LIBRARY_WORDS = re.compile(
    r"Input should|Field required|type=|validation error|Value error|pydantic|Extra inputs|further information"
    r"|instance of|after validation|\b(String|Tuple|Dictionary|List) should|dictionary|tuple|pattern|another value"
    r"|<class|Traceback"
)
DEMO = tomllib.loads((RECIPES / "demo.toml").read_text(encoding="utf-8"))
REMOVED, UNKNOWN = object(), object()
ODD = [
    *("", "x", "-1", "nan", "Ü !", "%e", "%Y", "99 99", -1, 0, 0.5, 1e300, 10**30, float("inf"), float("nan")),
    *(True, False, [], [1], ["x", 2], [[]], {}, {"x": 1}, {"kind": 5}, [{}], [{"kind": "odd"}], REMOVED, UNKNOWN),
]


def keys_of(table, path=()):
    """Paths of all keys of a recipe, of tables and of their entries too."""
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        yield (*path, key)
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            yield from keys_of(value, (*path, key))


PATHS = list(keys_of(DEMO))


def mangled(changes):
    """The shipped recipe with some keys changed, and the path that is wrong of each that there still is."""
    recipe = json.loads(json.dumps(DEMO, default=str))
    wrong = []
    for path, odd in changes:
        *parents, key = path
        table = recipe
        for parent in parents:
            table = table[parent]
        if odd is REMOVED:
            del table[key]
        elif odd is UNKNOWN and isinstance(table[key], dict):
            table[key]["no_such_key"] = 5
            path = (*path, "no_such_key")  # noqa: PLW2901
        else:
            table[key] = {"no": {"such": "value"}} if odd is UNKNOWN else odd
        wrong.append(".".join(map(str, path)))
    return recipe, wrong


@pytest.fixture
def mistakes(tmp_path, monkeypatch):
    """Load a recipe that is given as values; answers its mistakes, none where it is right after all."""
    path = tmp_path / "recipe.toml"
    path.write_text("", encoding="utf-8")

    def load(raw):
        monkeypatch.setattr(recipe_module.tomllib, "loads", lambda _: raw)
        try:
            load_recipe(path)
        except UsageError as error:
            return error.details["recipe_errors"]
        return []

    return load


def test_a_mangled_recipe_names_every_wrong_key_at_once_and_says_nothing_in_a_librarys_words(mistakes, record_property):
    tried, refused = 0, 0

    @settings(max_examples=draws(60, 20_000))
    @given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(ODD)), min_size=1, max_size=6))
    def check(changes):
        nonlocal tried, refused
        # A key within a table that is mangled itself can't be wrong any more.
        paths = [path for path, _ in changes]
        apart = not any(a != b and a == b[: len(a)] for a in paths for b in paths) and len(set(paths)) == len(paths)
        # Of a list that lost an entry the others move up.
        moved = any(odd is REMOVED and isinstance(path[-1], int) for path, odd in changes)
        apart = apart and not moved
        changes = changes if apart else changes[:1]
        own = set()
        for change in changes:
            raw, (wrong,) = mangled([change])
            found = mistakes(raw)
            # Others contradict other keys, and are seen once each key by itself can be read.
            if any(re.match(rf"{re.escape(wrong)}[.:]", line) for line in found):
                own.add(wrong)
            assert not [line for line in found if LIBRARY_WORDS.search(line)], found
            assert all(re.match(r"[\w.-]+: .*expected ", line) for line in found), found
        # Of a feature whose kind is wrong nobody can say which keys it may have, beside those of every kind.
        unsaid = {".".join(map(str, path[:-1])) for path in paths if path[-1] == "kind"}
        own = {key for key in own if not (key.rpartition(".")[0] in unsaid and key[-4:] not in ("name", "kind"))}
        together = mistakes(mangled(changes)[0])
        assert not [line for line in together if LIBRARY_WORDS.search(line)]
        assert not [wrong for wrong in own if not any(line.startswith(wrong) for line in together)], together
        tried, refused = tried + len(changes), refused + len(own)

    check()
    assert refused > tried / 3
    record_property("tried", f"{tried} mangled keys of a recipe")


@pytest.mark.parametrize("path", [path for path in PATHS if not isinstance(path[-1], int)])
@pytest.mark.parametrize("odd", [{"no": {"such": "value"}}])
def test_no_key_takes_just_anything(mistakes, path, odd):
    assert mistakes(mangled([(path, odd)])[0])


def test_contradictions_between_sections_are_told_together(mistakes):
    raw = json.loads(json.dumps(DEMO, default=str))
    raw["landing"] |= {"origin": "2016-01-01", "outcomes": [{"kind": "a", "column": "b"}, {"kind": "a", "column": "c"}]}
    assert [line.partition(", received")[0] for line in mistakes(raw)] == [
        "landing: expected origin only where times are numbers (epoch_s, epoch_ms, epoch_us)",
        "landing: outcomes: expected different kinds",
    ]
    raw["landing"] |= {"origin": "1970-01-01", "outcomes": []}
    raw["training"] |= {"epochs": 2, "calibration_share": 0.5, "stopping_share": 0.4, "ensemble": 2}
    raw["training"] |= {"network": "logistic_regression"}
    assert [line.partition(" ")[0] for line in mistakes(raw)] == ["training:", "training:"]
    raw["training"] = {}
    raw["landing"] = {"columns": {"channel": ""}}
    raw["features"][0] |= {"column": "propensity"}
    raw["training"] = {"window_days": "many"}
    raw["weights"] = {"half_live_days": 7}
    *own, first, second = mistakes(raw)  # contradictions are told beside keys of other sections that are wrong
    assert [line.partition(":")[0] for line in own] == ["training.window_days", "weights.half_live_days"]
    assert "can't be a feature" in first
    assert "expected columns.channel or channel_constant" in second
    raw["features"].append({"name": "x", "kind": "odd"})
    assert [line.partition(":")[0] for line in mistakes(raw)] == [
        *(f"features.{len(raw['features']) - 1}.kind", "training.window_days", "weights.half_live_days"),
    ]
