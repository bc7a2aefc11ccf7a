"""Rules of a network's file beside the recipe: found from the recipe's folder, and carried by the recipe from there."""

import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from tests.support.small_world import write_recipe

BUILD = "def build(embedded, numeric, training):\n    return numeric\n"


@pytest.fixture
def written(tmp_path):
    """Write a recipe and its network's file below a folder of the test's; answers the recipe's path."""

    def write(folder="here", text=BUILD, file="my_networks.py"):
        target = tmp_path / folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return write_recipe(tmp_path / folder, network=f"{file}:build")

    return write


def test_the_recipe_carries_the_files_text_wherever_the_program_runs(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe(written()).training.network_source == BUILD
    assert load_recipe(written(file="networks/towers.py")).training.network_source == BUILD


def test_a_saved_recipe_has_the_text_too_and_needs_no_file(written):
    path = written()
    loaded = load_recipe(path)
    (path.parent / "my_networks.py").unlink()
    assert Recipe.model_validate_json(loaded.model_dump_json(), strict=True) == loaded


def test_recipe_and_file_may_move_together_and_a_changed_file_is_a_changed_recipe(written):
    digest = load_recipe(written()).digest
    assert load_recipe(written("there")).digest == digest
    assert load_recipe(written("there", BUILD.replace("numeric\n", "-numeric\n"))).digest != digest


def test_recipes_without_such_a_file_are_written_and_told_apart_as_before(tmp_path):
    assert "network_source" not in load_recipe(write_recipe(tmp_path)).model_dump_json()


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "No such file or directory"), (b"\xff", ".*invalid start byte")],
    ids=["absent", "no text"],
)
def test_a_file_that_can_not_be_read_is_named_by_its_whole_path(written, text, words):
    path = written(text=text or "")
    if text is None:
        (path.parent / "my_networks.py").unlink()
    wanted = rf"training\.network: expected a Python file at {path.parent}/my_networks\.py, .*, received: {words}"
    with pytest.raises(UsageError, match=wanted) as caught:
        load_recipe(path)
    assert caught.value.details["recipe_errors"] == [str(caught.value).removeprefix(f"recipe {path}: ")]


@pytest.mark.parametrize("network", ["/my_networks.py:build", "my_networks.py", "my_networks.py:", ".py:build:more"])
def test_other_names_of_files_are_refused_with_the_recipe(tmp_path, network):
    with pytest.raises(UsageError, match=r"training\.network: expected .*, beside the recipe, file\.py:function"):
        load_recipe(write_recipe(tmp_path, network=network))


def test_a_recipe_can_not_bring_the_text_itself(tmp_path):
    path = write_recipe(tmp_path)
    text = path.read_text(encoding="utf-8").replace("[training]", '[training]\nnetwork_source = "import os"')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"training\.network_source: expected no such key"):
        load_recipe(path)
