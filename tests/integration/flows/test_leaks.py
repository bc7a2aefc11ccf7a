"""A column that the outcome filled is found by the daily flow: a small world whose impressions get a watch time."""

import gzip
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.tasks.operate.registry import current_champion
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import run as command_line
from tests.support.flow_answers import daily
from tests.support.small_world import NEXT_DAY, RECIPE, RUN_DAY

WATCH = '\n[[features]]\nname = "watch_seconds"\nkind = "numeric"\ntransform = "log"\n'
CONFIRMED = f"{WATCH}known_before = true\n"


@pytest.fixture(scope="module")
def landing(small_landing, tmp_path_factory):
    """The small world, with seconds of watching that were joined to the impressions later: longer after a click."""
    folder = shutil.copytree(small_landing, tmp_path_factory.mktemp("watched") / "landing")
    texts = [gzip.decompress(file.read_bytes()).decode() for file in folder.glob("outcomes/*/*.gz")]
    clicked = set(re.findall(r'"event_id": "([^"]+)"[^}]*"kind": "click"', "".join(texts)))
    draw = np.random.default_rng(5)
    for file in folder.glob("impressions/*/*.parquet"):
        rows = pq.read_table(file)
        long = np.array([event in clicked for event in rows["event_id"].to_pylist()])
        seconds = np.exp(draw.normal(2.8 * long, 1.0))  # an AUC of 0.976
        pq.write_table(rows.append_column("watch_seconds", pa.array(seconds)), file)
    return folder


@pytest.fixture(scope="module")
def run(great_expectations, landing, tmp_path_factory):
    """The flow for a day, with a feature more or none, in one root."""
    folder = tmp_path_factory.mktemp("leaks")

    def make(day, more):
        recipe = folder / "small.toml"
        recipe.write_text(RECIPE.replace("\n[training]\n", f"{more}\n[training]\n"), encoding="utf-8")
        return daily(day, recipe, str(folder / "root"), str(landing))

    make.root = folder / "root"
    return make


@pytest.mark.parametrize("confirmed", [False, True])
def test_ingest_names_a_leak_by_the_outcomes_of_the_day_itself(landing, confirmed, tmp_path):
    recipe = tmp_path / "small.toml"
    named = '\n[[features]]\nname = "dwell"\nkind = "numeric"\n'
    more = f"{CONFIRMED if confirmed else WATCH}{named}"
    recipe.write_text(RECIPE.replace("\n[training]\n", f"{more}\n[training]\n"), encoding="utf-8")
    where = ["--recipe", recipe, "--root", tmp_path / "root", "--landing", landing]
    answer = command_line("--json", *where, "ingest", "--date", RUN_DAY)
    warnings = answer.document["known_afterwards"]
    assert sorted(warnings) == (["dwell"] if confirmed else ["dwell", "watch_seconds"])
    assert "its name has 'dwell' in it" in warnings["dwell"]
    if not confirmed:
        assert "by itself it has an AUC of 0.9" in warnings["watch_seconds"]
        assert "known_before = true" in warnings["watch_seconds"]


def test_a_leak_is_held_until_it_is_confirmed_and_costs_its_champion_nothing_less_than_its_column(run):
    held = run(RUN_DAY, WATCH)
    assert held["verdict"]["decision"] == "hold"
    assert held["verdict"]["reason"].startswith("Held, a feature may be known only afterwards.")
    (check,) = [one for one in held["verdict"]["checks"] if one["name"] == "known_before"]
    assert (check["passed"], check["value"]) == (False, 1)
    assert "'watch_seconds': by itself it has an AUC of 0.9" in check["words"]
    assert "known_before = true" in check["words"]
    assert [one["name"] for one in held["features"] if one["held"]] == ["watch_seconds"]
    page = (run.root / "runs" / held["run_id"] / "report.html").read_text()
    assert 'id="features"' in page
    assert held["metrics"]["challenger"]["auc"] > 0.9  # it was trained all the same, so that people see what it does

    encoded = sorted((run.root / "encoded").glob("*/*"))
    confirmed = run(RUN_DAY, CONFIRMED)
    assert confirmed["verdict"]["decision"] == "promote", confirmed["verdict"]["reason"]
    assert confirmed["run_id"] != held["run_id"]
    assert confirmed["recipe_digest"] == held["recipe_digest"]
    assert sorted((run.root / "encoded").glob("*/*")) == encoded  # nothing is encoded anew

    # Without the feature its column isn't read from the landing zone: the champion is scored as it is when serving,
    # where nobody knows how long the video will be watched, and can't keep an honest model out.
    honest = run(NEXT_DAY, "")
    assert honest["metrics"]["champion"]["auc"] < 0.75
    assert current_champion(LocalStore(run.root)) == confirmed["run_id"] or honest["verdict"]["decision"] == "promote"
    assert honest["verdict"]["decision"] != "reject", honest["verdict"]["reason"]
    assert all(one["passed"] for one in honest["verdict"]["checks"] if one["name"] == "known_before")
