"""Required keys of a recipe are those without which it is refused, and every reference marks them."""

import copy
import json
import tomllib

import jsonschema
import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.feature_kinds.kinds import KINDS
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from ctr_retrain.models.recipe.shipped_recipes import shipped_recipes
from tests.docs.recipe_differences import differences
from tests.docs.schemas import recipe_schema
from tests.support.repository import RECIPES

SCHEMA = recipe_schema()
FULL = {
    "name": "full",
    "landing": {"outcomes": [{"kind": "click", "column": "clicked"}]},
    "channels": {"ad": {"positive_ratio": [0.1, 0.2], "cost": {"true_positive": -1, "false_positive": 0.1}}},
    "features": [{"name": kind, "kind": kind, "columns": ["a", "b"]} for kind in KINDS if kind == "crossed"]
    + [{"name": kind, "kind": kind} for kind in KINDS if kind != "crossed"],
    "gate": {"max_cost_delta_per_1000": 1, "max_channel_cost_delta_per_1000": 1},
}


def places(part, above=()):
    """The place of every key in a recipe."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        if isinstance(key, str):
            yield (*above, key)
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            yield from places(value, (*above, key))


def without(place):
    recipe = copy.deepcopy(FULL)
    part = recipe
    for key in place[:-1]:
        part = part[key]
    del part[place[-1]]
    return recipe


def is_refused(recipe, folder):
    try:
        Recipe.model_validate_json(json.dumps(recipe), strict=True)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("place", [place for place in places(FULL) if place != ("channels", "ad")], ids=str)
def test_the_schema_refuses_a_recipe_without_a_key_as_the_program_does(tmp_path, place):
    recipe = without(place)
    allowed = jsonschema.Draft202012Validator(SCHEMA).is_valid(recipe)
    # `column` or `ts` of an outcome, which no schema that people read could say in a line; its words do.
    if place[-1] != "column":
        assert allowed != is_refused(recipe, tmp_path)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_fit_the_published_schema(name):
    raw = tomllib.loads(shipped_recipes()[name].read_text(encoding="utf-8"))
    if name == "demo":  # shows the keys of all kinds in one feature, which the program takes with their defaults
        raw["features"] = [{key: feature[key] for key in ("name", "kind")} for feature in raw["features"]]
    jsonschema.validate(json.loads(json.dumps(raw, default=str)), SCHEMA)


def required_keys(part=SCHEMA):
    """Every required key that holds a value of its own, of any section."""
    for section in (part, *part["$defs"].values(), *part["properties"]["features"]["items"]["anyOf"]):
        yield from (key for key in section.get("required", ()) if key not in {"channels", "features", "gate"})


def test_the_recipe_that_shows_every_key_says_which_are_required():
    text = (RECIPES / "demo.toml").read_text(encoding="utf-8")
    # Of `cost` the comment before it; keys that nobody but [[landing.outcomes]] or a head has aren't there.
    for key in set(required_keys()) - {"cost", "true_positive", "false_positive"}:
        lines = [line for line in text.splitlines() if line.startswith(f"{key} = ")]
        assert any("required" in line for line in lines), (key, lines)
    assert "# Required, at least of the two positives" in text


def test_a_recipe_that_lacks_a_required_key_is_told_which(tmp_path):
    (tmp_path / "r.toml").write_text('name = "r"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"channels: expected a value, .*features: expected a value.*gate: expected"):
        load_recipe(tmp_path / "r.toml")


def test_what_differs_from_the_defaults_is_found():
    found = {key for key, _, _ in differences(load_recipe(RECIPES / "demo.toml"))}
    assert {"training.validation_days", "drift.min_effect"} <= found
    assert not {key for key in found if key.startswith(("landing", "channels"))}
