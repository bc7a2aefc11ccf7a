"""Rules of the second day's run, made once in the shadow: judged, found again, put into service, and barred."""

import json
import shutil
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from ctr_retrain.tasks.operate.registry import current_champion
from ctr_retrain.tasks.store.champion import roll_back
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.flow_answers import backfill, daily
from tests.support.small_world import NEXT_DAY

NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def second_run(first_run, small_landing, recipe_file, tmp_path_factory):
    """The next day's run, which the gate promoted and nobody put into service: its document and its root."""
    root = shutil.copytree(first_run.root, tmp_path_factory.mktemp("second") / "root")
    document = daily(NEXT_DAY, recipe_file, str(root), str(small_landing), shadow=True)
    if document["verdict"]["decision"] != "promote":
        pytest.fail(f"expected a promotion, received {document['verdict']}")
    return SimpleNamespace(document=document, root=root)


@pytest.fixture
def root(second_run, tmp_path):
    """A copy of the root after the second day's run."""
    return shutil.copytree(second_run.root, tmp_path / "root")


@pytest.fixture
def run_again(root, small_landing, recipe_file):
    """The daily flow for the second day, once more."""
    return lambda: daily(NEXT_DAY, recipe_file, str(root), str(small_landing))


def test_the_next_day_is_judged_against_the_champion_on_identical_rows(second_run, run_again):
    document = second_run.document
    challenger, champion = document["metrics"]["challenger"], document["metrics"]["champion"]
    assert document["recorded"] is False
    assert document["verdict"]["bootstrap"] is False
    assert (challenger["rows"], challenger["positives"]) == (champion["rows"], champion["positives"])
    assert challenger["threshold"] == champion["threshold"]
    assert run_again()["champion"] == document["run_id"]
    again = run_again()  # never against itself
    assert again["recorded"] is True
    assert again["metrics"]["champion"] == champion


def test_a_run_with_a_champion_says_how_far_the_log_reaches(second_run):
    reach = second_run.document["log_reach"]
    check = next(one for one in second_run.document["verdict"]["checks"] if one["name"] == "log_reach")
    assert check["passed"]
    assert reach["words"] in check["words"]
    folder = second_run.root / "runs" / second_run.document["run_id"]
    assert json.loads((folder / "log_reach.json").read_text(encoding="utf-8"))["log_reach"] == reach
    assert "What the log can&#39;t show" in (folder / "report.html").read_text(encoding="utf-8").replace(
        "can't", "can&#39;t"
    )
    rows = second_run.document["metrics"]["challenger"]["by_channel"]
    assert {one["channel"]: one["rows"] for one in reach["channels"]} == {name: rows[name]["rows"] for name in rows}


def test_in_the_shadow_the_champion_stays(first_run, second_run):
    champion = first_run.document["run_id"]
    assert second_run.document["champion"] == current_champion(LocalStore(second_run.root)) == champion


def test_a_run_that_died_between_its_object_and_the_champion_is_finished_by_the_next(second_run, root, run_again):
    shutil.rmtree(root / "refs" / "runs", ignore_errors=True)
    finished = run_again()
    assert finished["recorded"] is True
    assert finished["champion"] == current_champion(LocalStore(root)) == second_run.document["run_id"]


def test_a_rolled_back_model_stays_barred_when_its_day_runs_again(first_run, second_run, root, run_again):
    assert run_again()["champion"] == second_run.document["run_id"]
    roll_back(LocalStore(root), "clicks fell", NOW)
    document = run_again()
    assert document["champion"] == first_run.document["run_id"]
    assert "barred" in document["not_deployed"]


def test_a_promoted_run_that_never_went_into_service_is_put_there(second_run, root, small_landing, recipe_file):
    """As after a kill between the run and the champion's ref; a backfill in the shadow leaves the same behind."""
    (root / "refs" / "runs" / f"{NEXT_DAY}.json").unlink()  # so that the backfill makes the day
    arguments = (NEXT_DAY, NEXT_DAY, "each", recipe_file, str(root), str(small_landing))
    shadowed = backfill(*arguments, shadow=True)
    made = {"date": str(NEXT_DAY), "outcome": "promote", "run_id": second_run.document["run_id"]}
    assert shadowed["days"] == [made]
    assert [day["outcome"] for day in backfill(*arguments, shadow=True)["days"]] == ["skipped"]
    finished = backfill(*arguments)
    assert finished["days"] == shadowed["days"]  # the same run, found and not made again
    assert finished["champion"] == shadowed["days"][0]["run_id"] != shadowed["champion"]
    assert [day["outcome"] for day in backfill(*arguments)["days"]] == ["skipped"]
