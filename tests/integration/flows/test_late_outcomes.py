"""Rules of late outcome files in whole runs: the day itself says that it is incomplete, the next one finds it whole."""

import gzip
import json
import shutil
from types import SimpleNamespace

import pytest

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.validate.validate_day import load_validated_day
from tests.support.flow_answers import daily
from tests.support.small_world import NEXT_DAY, RUN_DAY, write_recipe

pytestmark = pytest.mark.usefixtures("great_expectations")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The small recipe, shipping fresh; nothing is trained, since positives are too few."""
    path = write_recipe(tmp_path_factory.mktemp("recipe"), min_positives=100_000)
    path.write_text(path.read_text().replace("window_days = 3", 'window_days = 3\nship = "fresh"'), encoding="utf-8")
    return path


def hold_back(landing, day, share):
    """Take a share of a day's outcomes out of the landing zone; what it returns lands them in a file of their own."""
    folder = landing / "outcomes" / f"dt={day}"
    file = folder / "outcomes.jsonl.gz"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    late = [line for number, line in enumerate(lines) if number % 10 < 10 * share]
    punctual = [line for number, line in enumerate(lines) if number % 10 >= 10 * share]
    file.write_bytes(gzip.compress("\n".join([*punctual, ""]).encode()))
    return lambda: (folder / "late.jsonl.gz").write_bytes(gzip.compress("\n".join([*late, ""]).encode()))


@pytest.fixture(scope="module")
def half(recipe, small_landing, tmp_path_factory):
    """Half of a day's outcomes land a day late: the day's own run, and the next one's."""
    folder = tmp_path_factory.mktemp("half")
    landing, root = shutil.copytree(small_landing, folder / "landing"), folder / "root"
    land = hold_back(landing, RUN_DAY, 0.5)
    first = daily(RUN_DAY, recipe, str(root), str(landing))
    object_before = current_day_object(LocalStore(root), RUN_DAY)
    report = (root / "runs" / first["run_id"] / "report.html").read_text(encoding="utf-8")
    land()
    second = daily(NEXT_DAY, recipe, str(root), str(landing))
    return SimpleNamespace(first=first, second=second, root=root, before=object_before, report=report)


def test_on_the_day_itself_the_half_that_is_missing_is_said(half):
    (found,) = half.first["incomplete_outcomes"]
    assert found["day"] == str(RUN_DAY) == found["due"]
    assert found["channels"] == ["ad", "push"]
    assert 0.4 < found["received"] / found["expected"] < 0.6
    assert not found["overdue"]
    assert str(RUN_DAY) in found["words"]
    assert "are missing" in found["words"]


def test_it_has_no_corrected_ratio_and_trains_nothing_fresh(half):
    young = {(ratio["day"], ratio["channel"]): ratio for ratio in half.first["maturity"]["young"]}
    own = [ratio for (day, _), ratio in young.items() if day == str(RUN_DAY)]
    assert own
    assert all(ratio["corrected"] is None and ratio["standard_error"] is None for ratio in own)
    assert all(ratio["incomplete"] == [str(RUN_DAY)] for ratio in own)
    assert half.first["excluded"].keys() == {str(RUN_DAY)}
    assert f"outcomes that should have landed on {RUN_DAY} are missing" in half.first["excluded"][str(RUN_DAY)]


def test_the_report_says_it(half):
    assert 'id="incomplete"' in half.report
    assert half.first["incomplete_outcomes"][0]["words"] in half.report


def test_the_next_day_has_noticed_the_file_and_the_day_is_complete(half):
    assert current_day_object(LocalStore(half.root), RUN_DAY) != half.before
    assert "incomplete_outcomes" not in half.second
    assert half.second["excluded"] == {}
    assert all(ratio["corrected"] is not None for ratio in half.second["maturity"]["young"])
    assert {curve["days"] for curve in half.second["maturity"]["curves"]} == {4}


def test_a_file_that_never_comes_is_lost_after_the_grace_and_its_days_stay_out_of_maturity(
    recipe, small_landing, tmp_path
):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    hold_back(landing, RUN_DAY, 0.7)
    document = daily(NEXT_DAY, recipe, str(tmp_path / "root"), str(landing))
    (found,) = document["incomplete_outcomes"]
    assert (found["day"], found["overdue"]) == (str(RUN_DAY), True)
    assert {curve["days"] for curve in document["maturity"]["curves"]} == {
        2
    }  # of four; the day before lacks the rest of its outcomes too


def test_a_day_that_was_rejected_for_its_late_file_is_accepted_once_the_file_is_there(recipe, small_landing, tmp_path):
    landing, root = shutil.copytree(small_landing, tmp_path / "landing"), tmp_path / "root"
    land = hold_back(landing, RUN_DAY, 1)
    with pytest.raises(DataRejectedError) as rejected:
        daily(RUN_DAY, recipe, str(root), str(landing))
    (found,) = json.loads(rejected.value.document.to_text())["incomplete_outcomes"]
    assert found["received"] == 0
    land()
    document = daily(NEXT_DAY, recipe, str(root), str(landing))
    assert load_validated_day(LocalStore(root), RUN_DAY).accepted
    assert document["excluded"] == {}
