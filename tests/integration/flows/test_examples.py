"""The examples of infra/examples run: made-up events land, and each recipe makes a model that is judged."""

import subprocess
import sys

import pytest

from tests.support.command_line import at
from tests.support.repository import REPOSITORY

EXAMPLES = REPOSITORY / "infra" / "examples"
RUN_DAY = "2026-03-08"  # the last of the made-up days
NETWORKS = {"own_csv": "logistic_regression", "own_network": "field_pairs.py:build"}


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """The file that the examples' program writes into the folder where it is run."""
    folder = tmp_path_factory.mktemp("examples")
    subprocess.run([sys.executable, str(EXAMPLES / "make_events.py")], cwd=folder, check=True)
    return folder / "events.csv"


@pytest.mark.parametrize("name", NETWORKS)
def test_an_example_recipe_makes_a_judged_model_of_made_up_events(great_expectations, events, tmp_path, name):
    command = at(tmp_path / "root", tmp_path / "landing", EXAMPLES / f"{name}.toml")
    landed = command("land", "--from", events)
    assert landed.status == 0, landed.stderr
    made = command("daily", "--date", RUN_DAY, "--json")
    assert made.status == 0, made.stderr
    assert made.document["metrics"]["challenger"]["auc"] > 0.5
    (money,) = made.document["money"]["channels"]
    if name == "own_network":  # whose cost names the basket: the mean threshold is that of the mean basket
        assert money["break_even"] == pytest.approx(0.10 / (0.02 * money["mean_value"]))
        assert 40 < money["mean_value"] < 50
    else:
        assert (money["break_even"], money["mean_value"]) == (pytest.approx(0.1), None)
    bundle = tmp_path / "root" / "runs" / made.document["run_id"] / "challenger" / "bundle.json"
    assert f'"network": "{NETWORKS[name]}"' in bundle.read_text(encoding="utf-8")


def test_each_file_of_the_examples_is_explained():
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert not [name for name in files if f"`{name}`" not in text]
