import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.tasks.operate.registry import current_champion
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.flow_answers import backfill
from tests.support.repository import REPOSITORY
from tests.support.small_world import FIRST_DAY, LAST_DAY, NEXT_DAY, RUN_DAY, clean_environment


def outcomes(document):
    return [entry["outcome"] for entry in document["days"]]


def test_each_day_is_ingested_and_validated_and_a_finished_day_is_skipped(
    prefect_server, small_landing, recipe_file, tmp_path
):
    arguments = (FIRST_DAY, FIRST_DAY + timedelta(days=2), "none", recipe_file, str(tmp_path / "root"))
    assert outcomes(backfill(*arguments, str(small_landing))) == ["ingested"] * 3
    assert outcomes(backfill(*arguments, str(small_landing))) == ["skipped"] * 3


def test_a_day_with_a_run_of_its_own_is_skipped_with_the_name_of_the_run(first_run, root, small_landing, recipe_file):
    document = backfill(RUN_DAY, RUN_DAY, "each", recipe_file, str(root), str(small_landing))
    assert document["days"] == [
        {"date": str(RUN_DAY), "outcome": "skipped", "run_id": first_run.document["run_id"]},
    ]


def test_a_backfill_of_an_older_day_trains_and_never_moves_the_champion_back(root, small_landing, recipe_file):
    champion = current_champion(LocalStore(root))
    earlier = RUN_DAY - timedelta(days=1)
    document = backfill(earlier, earlier, "last", recipe_file, str(root), str(small_landing))
    assert outcomes(document)[0] in ("promote", "hold")
    assert LocalStore(root).read_ref(f"runs/{earlier}") is not None
    assert document["champion"] == current_champion(LocalStore(root)) == champion
    again = backfill(earlier, earlier, "last", recipe_file, str(root), str(small_landing))
    assert outcomes(again) == ["skipped"]  # also where the gate promoted and the newer champion refused


def test_a_bad_day_is_noted_and_the_others_go_on(prefect_server, small_landing, recipe_file, tmp_path):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    shutil.rmtree(landing / "impressions" / f"dt={FIRST_DAY + timedelta(days=1)}")
    last = FIRST_DAY + timedelta(days=2)
    document = backfill(FIRST_DAY, last, "none", recipe_file, str(tmp_path / "root"), str(landing))
    assert outcomes(document) == ["ingested", "data rejected", "ingested"]
    assert "nothing landed on 2026-03-03" in document["days"][1]["reason"]


def test_a_rejected_day_stays_rejected_however_often_it_is_asked_for_until_its_files_are_mended(
    prefect_server, small_landing, recipe_file, tmp_path
):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    outcome_file = landing / "outcomes" / f"dt={FIRST_DAY}" / "outcomes.jsonl.gz"
    whole = outcome_file.read_bytes()
    outcome_file.write_bytes(gzip.compress(b""))  # a day without positives
    arguments = (FIRST_DAY, FIRST_DAY, "none", recipe_file, str(tmp_path / "root"), str(landing))
    assert [outcomes(backfill(*arguments)) for _ in range(2)] == [["rejected"]] * 2
    outcome_file.write_bytes(whole)
    assert [outcomes(backfill(*arguments)) for _ in range(2)] == [["ingested"], ["skipped"]]


def test_a_promoted_run_that_never_went_into_service_is_put_there(root, small_landing, recipe_file):
    """As after a kill between the run and the champion's ref; a backfill in the shadow leaves the same behind."""
    arguments = (NEXT_DAY, NEXT_DAY, "each", recipe_file, str(root), str(small_landing))
    shadowed = backfill(*arguments, shadow=True)
    assert outcomes(shadowed) == ["promote"]
    assert outcomes(backfill(*arguments, shadow=True)) == ["skipped"]
    finished = backfill(*arguments)
    assert finished["days"] == shadowed["days"]  # the same run, found and not made again
    assert finished["champion"] == shadowed["days"][0]["run_id"] != shadowed["champion"]
    assert outcomes(backfill(*arguments)) == ["skipped"]


def test_an_end_before_the_start_is_refused(prefect_server, small_landing, recipe_file, tmp_path):
    with pytest.raises(UsageError, match="expected --end not before --start"):
        backfill(LAST_DAY, FIRST_DAY, "none", recipe_file, str(tmp_path / "root"), str(small_landing))


def test_a_killed_backfill_is_resumed_where_it_stopped(prefect_server, small_landing, recipe_file, tmp_path):
    root = tmp_path / "root"
    arguments = ["--recipe", recipe_file, "--root", root, "--landing", small_landing, "backfill"]
    days = ["--start", FIRST_DAY, "--end", LAST_DAY, "--retrain", "none"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, [*arguments, *days])],
        cwd=REPOSITORY,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # its Prefect server dies with it
    )
    while len(LocalStore(root).list_refs("accepted")) < 2:
        assert process.poll() is None, "the backfill ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = len(LocalStore(root).list_refs("accepted"))
    assert finished < (LAST_DAY - FIRST_DAY).days + 1

    document = backfill(FIRST_DAY, LAST_DAY, "none", recipe_file, str(root), str(small_landing))
    assert outcomes(document)[:finished] == ["skipped"] * finished
    assert set(outcomes(document)[finished:]) == {"ingested"}
    assert not list((root / "staging").iterdir())
