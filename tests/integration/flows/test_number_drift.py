"""Rules of a run whose number leaves what the training window held: it is named, and the run goes on."""

import shutil
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.flows.commands.print_runs import print_run
from ctr_retrain.models.documents.drift_documents import NumbersDocument
from ctr_retrain.models.documents.run_documents import DailyAnswer
from tests.support.flow_answers import daily
from tests.support.small_world import RECIPE, RUN_DAY

MORE = '[[features]]\nname = "account_days"\nkind = "numeric"\n[[features]]\nname = "stays"\nkind = "numeric"\n'
MORE += '[[features]]\nname = "weekday"\nkind = "weekday"\n'


@pytest.fixture(scope="module")
def landing(small_landing, tmp_path_factory):
    """The small world, with an age that rises a day a day, and a number that doesn't."""
    folder = shutil.copytree(small_landing, tmp_path_factory.mktemp("aged") / "landing")
    draw = np.random.default_rng(5)
    for file in sorted(folder.glob("impressions/*/*.parquet")):
        rows = pq.read_table(file)
        days = (date.fromisoformat(file.parent.name.removeprefix("dt=")) - date(2026, 3, 1)).days
        drawn = draw.integers(0, 6, len(rows))
        rows = rows.append_column("account_days", pa.array(drawn + days)).append_column("stays", pa.array(drawn))
        pq.write_table(rows, file)
    return folder


@pytest.fixture(scope="module")
def run(great_expectations, landing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    recipe = folder / "small.toml"
    recipe.write_text(RECIPE.replace("\n[training]\n", f"\n{MORE}[training]\n"), encoding="utf-8")
    return folder / "root", daily(RUN_DAY, recipe, str(folder / "root"), str(landing))


def test_the_number_is_named_with_shares_in_document_terminal_and_report(run, capsys):
    root, document = run
    (warning,) = [warning for warning in document["warnings"] if warning["name"] == "number_drift"]
    assert "Number 'account_days' leaves the training window's values" in warning["words"]
    assert "of the rows of the run's day" in warning["words"]
    assert "from day to day it rises" in warning["words"]
    print_run(DailyAnswer.from_json(document))
    assert "Number 'account_days' leaves" in " ".join(capsys.readouterr().out.split())
    page = (root / "runs" / document["run_id"] / "report.html").read_text()
    assert "account_days" in page[page.index('id="warnings"') :]


def test_figures_of_every_number_stand_in_the_run(run):
    root, document = run
    numbers = {number["name"]: number for number in document["numbers"]}
    assert list(numbers) == ["recent_sends", "account_days", "stays"]
    assert numbers["account_days"]["newest_outside"] > numbers["account_days"]["validation_outside"] > 0.1
    assert numbers["stays"]["newest_outside"] == numbers["stays"]["validation_outside"] == 0
    assert [number["name"] for number in document["numbers"] if number["words"]] == ["account_days"]
    stored = NumbersDocument.read(root / "runs" / document["run_id"] / "numbers.json")
    assert [number.name for number in stored.numbers] == list(numbers)


def test_a_number_without_meaning_is_not_said_to_bring_something_and_clocks_are_measured_together(run):
    measured = run[1]["feature_worth"]
    features = {feature["name"]: feature for feature in measured["features"]}
    assert features["stays"]["worth"]["finding"] in ("nothing", "unclear")
    assert abs(features["stays"]["worth"]["log_loss"]["value"]) < 0.001
    assert [family["names"] for family in measured["families"]] == [["hour", "weekday"]]
    assert "hour, weekday together" in measured["families"][0]["worth"]["words"]
    assert features["account_days"]["days"][0]["moved"] > 0.25 > features["stays"]["days"][0]["moved"]
