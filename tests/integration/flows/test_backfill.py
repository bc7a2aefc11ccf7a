import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.tasks.operate.registry import current_champion
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.flow_answers import backfill, daily
from tests.support.repository import REPOSITORY
from tests.support.small_world import FIRST_DAY, LAST_DAY, RUN_DAY, clean_environment

DAY_BEFORE = RUN_DAY - timedelta(days=1)


def outcomes(document):
    return [entry["outcome"] for entry in document["days"]]


def test_each_day_is_ingested_and_validated_and_a_finished_day_is_skipped(
    great_expectations, small_landing, recipe_file, tmp_path
):
    arguments = (FIRST_DAY, FIRST_DAY + timedelta(days=2), "none", recipe_file, str(tmp_path / "root"))
    assert outcomes(backfill(*arguments, str(small_landing))) == ["ingested"] * 3
    assert outcomes(backfill(*arguments, str(small_landing))) == ["skipped"] * 3


def test_a_day_with_a_run_of_its_own_is_skipped_with_the_name_of_the_run(first_run, root, small_landing, recipe_file):
    document = backfill(RUN_DAY, RUN_DAY, "each", recipe_file, str(root), str(small_landing))
    assert document["days"] == [
        {"date": str(RUN_DAY), "outcome": "skipped", "run_id": first_run.document["run_id"]},
    ]


@pytest.fixture(scope="module")
def earlier_run(first_run, small_landing, recipe_file, tmp_path_factory):
    """A backfill of the day before the first run's: its document and its root."""
    root = shutil.copytree(first_run.root, tmp_path_factory.mktemp("earlier") / "root")
    document = backfill(DAY_BEFORE, DAY_BEFORE, "last", recipe_file, str(root), str(small_landing))
    return SimpleNamespace(document=document, root=root)


def test_a_backfill_of_an_older_day_trains_and_never_moves_the_champion_back(
    first_run, earlier_run, small_landing, recipe_file
):
    root, document = earlier_run.root, earlier_run.document
    assert outcomes(document)[0] in ("promote", "hold")
    assert LocalStore(root).read_ref(f"runs/{DAY_BEFORE}") is not None
    assert document["champion"] == current_champion(LocalStore(root)) == first_run.document["run_id"]
    again = backfill(DAY_BEFORE, DAY_BEFORE, "last", recipe_file, str(root), str(small_landing))
    assert outcomes(again) == ["skipped"]  # also where the gate promoted and the newer champion refused


def test_a_run_for_an_older_day_never_takes_over(first_run, earlier_run, small_landing, recipe_file, tmp_path):
    root = shutil.copytree(earlier_run.root, tmp_path / "root")
    document = daily(DAY_BEFORE, recipe_file, str(root), str(small_landing))
    assert document["verdict"]["bootstrap"] is True  # there was no champion before that day
    assert document["champion"] == first_run.document["run_id"]
    if document["verdict"]["decision"] == "promote":
        assert "is newer" in document["not_deployed"]


def test_a_bad_day_is_noted_and_the_others_go_on(great_expectations, small_landing, recipe_file, tmp_path):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    shutil.rmtree(landing / "impressions" / f"dt={FIRST_DAY + timedelta(days=1)}")
    last = FIRST_DAY + timedelta(days=2)
    document = backfill(FIRST_DAY, last, "none", recipe_file, str(tmp_path / "root"), str(landing))
    assert outcomes(document) == ["ingested", "data rejected", "ingested"]
    assert "nothing landed on 2026-03-03" in document["days"][1]["reason"]


def test_a_rejected_day_stays_rejected_however_often_it_is_asked_for_until_its_files_are_mended(
    great_expectations, small_landing, recipe_file, tmp_path
):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    outcome_file = landing / "outcomes" / f"dt={FIRST_DAY}" / "outcomes.jsonl.gz"
    whole = outcome_file.read_bytes()
    outcome_file.write_bytes(gzip.compress(b""))  # a day without positives
    arguments = (FIRST_DAY, FIRST_DAY, "none", recipe_file, str(tmp_path / "root"), str(landing))
    assert [outcomes(backfill(*arguments)) for _ in range(2)] == [["rejected"]] * 2
    outcome_file.write_bytes(whole)
    assert [outcomes(backfill(*arguments)) for _ in range(2)] == [["ingested"], ["skipped"]]


def test_an_end_before_the_start_is_refused(great_expectations, small_landing, recipe_file, tmp_path):
    with pytest.raises(UsageError, match="expected --end not before --start"):
        backfill(LAST_DAY, FIRST_DAY, "none", recipe_file, str(tmp_path / "root"), str(small_landing))


def test_a_killed_backfill_is_resumed_where_it_stopped(great_expectations, small_landing, recipe_file, tmp_path):
    root = tmp_path / "root"
    arguments = ["--recipe", recipe_file, "--root", root, "--landing", small_landing, "backfill"]
    days = ["--start", FIRST_DAY, "--end", RUN_DAY, "--retrain", "none"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, [*arguments, *days])],
        cwd=REPOSITORY,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(LocalStore(root).list_refs("accepted")) < 2:
        assert process.poll() is None, "the backfill ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = len(LocalStore(root).list_refs("accepted"))
    assert finished < (RUN_DAY - FIRST_DAY).days + 1

    document = backfill(FIRST_DAY, RUN_DAY, "none", recipe_file, str(root), str(small_landing))
    assert outcomes(document)[:finished] == ["skipped"] * finished
    assert set(outcomes(document)[finished:]) == {"ingested"}
    assert not list((root / "staging").iterdir())
