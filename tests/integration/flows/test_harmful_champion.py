"""A champion that turns out harmful, in whole runs: found by the ledger, told, taken out of service where allowed.

A careless gate lets a model through that was trained on shuffled clicks, and is judged on shuffled ones. The days after
are sound, and the model before it goes on being scored beside it.
"""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.operate.registry import current_champion
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.integration.flows.test_evidence import (
    CHALLENGER_DAY,
    CHAMPION_DAY,
    CHANGE_DAY,
    DAYS,
    FIRST_DAY,
    RECIPE,
    WORLD,
    shuffle_clicks,
)
from tests.support.command_line import run
from tests.support.flow_answers import daily
from tests.support.small_world import write_recipe

FOUND_DAY = CHALLENGER_DAY + timedelta(days=1)
CARELESS = {
    "max_cost_delta_per_1000": 1000,
    "max_channel_cost_delta_per_1000": 1000,
    "max_log_loss_delta": 1,
    "calibration_ratio": [0.01, 100],
}


@pytest.fixture(scope="module")
def harmed(great_expectations, tmp_path_factory):
    """The run ids of both champions, and the answer of the sound night that finds the second one harmful."""
    folder = tmp_path_factory.mktemp("harmful")
    simulate(World(**WORLD), FIRST_DAY, DAYS + 1, folder)
    landing, root = folder / "landing", folder / "root"
    (folder / "careless").mkdir()
    careless, sound = write_recipe(folder / "careless", **{**RECIPE, **CARELESS}), write_recipe(folder, **RECIPE)
    sound.write_text(f"{sound.read_text()}\nauto_rollback = true\n")  # [gate] is its last section
    first = daily(CHAMPION_DAY, sound, str(root), str(landing))
    shuffle_clicks(landing, day_range(CHANGE_DAY, CHALLENGER_DAY - timedelta(days=1)))
    second = daily(CHALLENGER_DAY, careless, str(root), str(landing))
    assert second["champion"] == second["run_id"], second["verdict"]
    found = daily(FOUND_DAY, sound, str(root), str(landing))
    return SimpleNamespace(root=root, first=first["run_id"], second=second["run_id"], found=found)


def test_the_first_sound_night_finds_it_harmful(harmed):
    evidence = harmed.found["evidence"]
    assert (evidence["champion"], evidence["earlier"]["predecessor"]) == (harmed.second, harmed.first)
    over = evidence["champion_over"]["predecessor"]
    assert evidence["margin"] < over["low"] < over["value"] < over["high"]
    assert harmed.found["verdict"]["decision"] == "reject"  # its own challenger was trained on such clicks as well


def test_where_the_recipe_allows_it_the_model_before_it_serves_again_and_the_run_says_so(harmed):
    store = LocalStore(harmed.root)
    assert current_champion(store) == harmed.found["champion"] == harmed.first
    assert harmed.found["rolled_back"].startswith(f"{harmed.second} was rolled back to {harmed.first}: it costs ")
    serves = harmed.found["serves"]
    assert (serves["version"], serves["data_through"]) == (harmed.first, "2026-03-03")
    assert serves["words"].startswith(f"The model {harmed.first} serves again.")


def test_it_is_one_critical_incident_that_says_what_was_done(harmed):
    answer = run("--root", harmed.root, "alerts", "list", "--json")
    (incident,) = [one for one in answer.document["open"] if one["kind"] == "champion_harmful"]
    assert incident["level"] == "critical"
    assert incident["summary"].startswith("A harmful model was taken out of service: it costs ")
    assert harmed.found["rolled_back"] in incident["details"]
