"""A champion that turns out harmful, in whole runs: found by the ledger, told, taken out of service where allowed.

A careless gate lets a model through that learnt from clicks which a broken join gave to the impressions that deserve
them least. The night after is a sound one, and the model before it is scored beside it.
"""

import shutil
from datetime import timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from ctr_retrain.models.simulation.world import simulate_day
from ctr_retrain.tasks.operate.registry import current_champion
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.integration.flows.test_evidence import give_outcomes_to
from tests.support.command_line import run
from tests.support.flow_answers import daily
from tests.support.small_world import LAST_DAY, NEXT_DAY, RUN_DAY, SMALL_WORLD, write_recipe

CARELESS = {
    "max_cost_delta_per_1000": 100_000,
    "max_channel_cost_delta_per_1000": 100_000,
    "max_log_loss_delta": 1000,
    "calibration_ratio": [0.001, 1000],
}


def mirrored(day):
    """event_id of each impression → that of the one as likely to be clicked as it is unlikely, and how much later."""
    made = simulate_day(SMALL_WORLD, day)
    impressions = made.impressions.select(["event_id", "ts", "channel"]).to_pandas()
    by_chance = impressions.iloc[made.truth["probability"].to_numpy().argsort()]
    order = [rows.index for _, rows in by_chance.groupby("channel")]
    place = pd.concat([pd.Series(index[::-1], index=index) for index in order]).sort_index()
    other = impressions.loc[place].set_index(impressions.index)
    found = {"other": other["event_id"], "later": other["ts"] - impressions["ts"]}
    return pd.DataFrame(found).set_index(impressions["event_id"])


@pytest.fixture(scope="module")
def harmed(first_run, small_landing, tmp_path_factory):
    """The run ids of both champions, and the answer of the night that finds the second one harmful."""
    folder = tmp_path_factory.mktemp("harmful")
    root, landing = shutil.copytree(first_run.root, folder / "root"), shutil.copytree(small_landing, folder / "landing")
    learnt = [RUN_DAY - timedelta(days=age) for age in (3, 2, 1)]
    give_outcomes_to(landing, pd.concat([mirrored(day) for day in learnt]))
    second = daily(NEXT_DAY, write_recipe(folder, **CARELESS), str(root), str(landing))
    assert second["champion"] == second["run_id"], second["verdict"]
    sound = write_recipe(folder, max_cost_delta_per_1000=0.5)
    sound.write_text(f"{sound.read_text()}\nauto_rollback = true\n")  # [gate] is its last section
    found = daily(LAST_DAY, sound, str(root), str(landing))
    return SimpleNamespace(root=root, first=first_run.document["run_id"], second=second["run_id"], found=found)


def test_the_night_after_finds_it_harmful(harmed):
    evidence = harmed.found["evidence"]
    assert (evidence["champion"], evidence["earlier"]["predecessor"]) == (harmed.second, harmed.first)
    over = evidence["champion_over"]["predecessor"]
    assert evidence["margin"] < over["low"] < over["value"] < over["high"]


def test_where_the_recipe_allows_it_the_model_before_it_serves_again_and_the_run_says_so(harmed):
    store = LocalStore(harmed.root)
    assert current_champion(store) == harmed.found["champion"] == harmed.first
    assert harmed.found["rolled_back"].startswith(f"{harmed.second} was rolled back to {harmed.first}: it costs ")
    assert harmed.found["serves"]["version"] == harmed.first
    assert harmed.found["serves"]["words"].startswith(f"The model {harmed.first} serves again.")


def test_it_is_one_critical_incident_that_says_what_was_done(harmed):
    answer = run("--root", harmed.root, "alerts", "list", "--json")
    (incident,) = [one for one in answer.document["open"] if one["kind"] == "champion_harmful"]
    assert incident["level"] == "critical"
    assert incident["summary"].startswith("A harmful model was taken out of service: it costs ")
    assert harmed.found["rolled_back"] in incident["details"]
