"""Rules of bad input, through the `daily` command: what is wrong is said, and nothing half-written is to be seen."""

import gzip
import json
import re
import shutil
import subprocess
import sys
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import at
from tests.support.repository import REPOSITORY
from tests.support.small_mounts import mounts, on_small_disk
from tests.support.small_world import NEXT_DAY, RUN_DAY, clean_environment, write_recipe


@pytest.fixture
def landing(small_landing, tmp_path):
    """A copy of the landing zone, to be spoilt."""
    return shutil.copytree(small_landing, tmp_path / "landing")


@pytest.fixture
def recipe(tmp_path):
    """A recipe that asks for so many positives that a run which goes on is held without training: seconds saved."""
    return write_recipe(tmp_path, min_positives=1_000_000)


@pytest.fixture
def daily(root, landing, recipe):
    """`daily` for the day after the first run's, and the assurance that a failure left nothing to be seen."""
    before = visible(root)

    def run_daily(day=NEXT_DAY, landing=landing, recipe=recipe):
        answer = at(root, landing, recipe)("daily", "--date", day, "--json")
        if answer.status:
            assert visible(root) == before
            assert answer.document["error"]["exit_code"] == answer.status
            assert "Traceback" not in answer.stderr
        return answer

    return run_daily


@pytest.fixture
def ingested(root, landing, recipe):
    """What comes in by a stream while nothing is spoilt."""

    def ingest(stream):
        return at(root, landing, recipe)("ingest", "--date", NEXT_DAY, "--json").document[stream]

    return ingest


def visible(root):
    """Runs, models and champion; staging must be empty at all times."""
    store = LocalStore(root)
    assert not list((root / "staging").glob("*"))
    return store.list_objects("runs"), store.list_objects("models"), read_champions(store).ref, store.list_refs("runs")


def impressions_of(landing, day=NEXT_DAY):
    return landing / "impressions" / f"dt={day}" / "events.parquet"


def change(landing, edit):
    """Write the day's impressions anew, changed."""
    rows = pq.read_table(impressions_of(landing))
    pq.write_table(edit(rows), impressions_of(landing))


def set_column(rows, name, values):
    return rows.set_column(rows.column_names.index(name), name, values)


def assert_says(answer, status, *words):
    assert answer.status == status, answer.stderr
    for word in words:
        assert re.search(word, answer.document["error"]["message"]), answer.document["error"]["message"]


# --- nothing to work on


def test_no_landing_folder(daily, tmp_path):
    answer = daily(landing=tmp_path / "elsewhere")
    assert_says(answer, 2, r"landing zone .*elsewhere: expected a folder, received none\. Set --landing")


def test_no_file_for_the_day(daily, landing):
    shutil.rmtree(landing / "impressions" / f"dt={NEXT_DAY}")
    assert_says(daily(), 3, r"nothing landed on 2026-03-08: expected files under .*dt=2026-03-08", "Check the export")


def test_an_empty_day(daily, landing):
    (landing / "impressions" / f"dt={NEXT_DAY}" / "late.parquet").unlink()
    change(landing, lambda rows: rows.slice(0, 0))
    assert_says(daily(), 3, r"impressions of 2026-03-08 are empty: expected rows, received files without any")


def test_a_window_without_accepted_days(daily):
    answer = daily(RUN_DAY.replace(day=2))
    assert_says(answer, 3, "run for 2026-03-02: expected at least one accepted day to train on", "or accept them by")


# --- files that can't be read


def test_a_truncated_gzip_file_among_good_ones_rejects_the_day_and_is_named(daily, landing):
    lines = "".join(json.dumps({"event_id": f"x{n}", "ts": f"{NEXT_DAY}T01:00:00"}) + "\n" for n in range(1000))
    broken = impressions_of(landing).with_name("broken.jsonl.gz")
    broken.write_bytes(gzip.compress(lines.encode())[:-20])
    answer = daily()
    assert_says(answer, 3, "2026-03-08 was rejected by validation", r"unreadable_files: expected at most 0, received 1")
    assert "broken.jsonl.gz" in answer.document["error"]["message"]
    assert list(answer.document["ingest"]["unreadable"]) == ["impressions/broken.jsonl.gz"]
    assert answer.document["ingest"]["impressions"]["kept"] > 3000  # of the good files


def test_a_malformed_line_among_good_ones_is_quarantined_and_the_run_goes_on(daily, ingested, landing):
    before = ingested("outcomes")
    file = landing / "outcomes" / f"dt={NEXT_DAY}" / "outcomes.jsonl.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()) + b'{"event_id": "x", "ts\n'))
    answer = daily()
    assert answer.status == 0, answer.stderr
    after = answer.document["ingest"]["outcomes"]
    assert after["quarantined"] == before["quarantined"] + 1
    assert after["kept"] == before["kept"]


# --- columns


def test_a_column_that_is_missing(daily, landing):
    for file in impressions_of(landing).parent.iterdir():
        pq.write_table(pq.read_table(file).drop_columns("user_id"), file)
    answer = daily()
    assert_says(answer, 3, "column missing: expected user_id, received event_id, ts, channel", r"\[landing\.columns\]")


def test_a_column_of_the_wrong_type(daily, landing):
    for file in impressions_of(landing).parent.iterdir():
        rows = pq.read_table(file)
        pq.write_table(set_column(rows, "recent_sends", pa.array(["many"] * len(rows))), file)
    answer = daily()
    assert_says(
        answer, 3, r"unreadable_share\[recent_sends\]: expected at most 50 %, received 100 % \(such as 'many'\)"
    )


# --- values


def test_a_day_without_positives_fails_by_the_bound_of_its_ratio(daily, landing):
    for file in (landing / "outcomes" / f"dt={NEXT_DAY}").iterdir():
        file.unlink()
    (landing / "outcomes" / f"dt={NEXT_DAY}" / "outcomes.jsonl").touch()
    answer = daily()
    bound = r"positive_ratio\[ad\]: expected .*0\.5 ?%.*20 ?%.*, received 0"
    assert_says(answer, 3, bound, "run `ctr-retrain accept --date 2026-03-08")
    assert answer.document["validation"]["passed"] is False
    assert answer.document["ingest"]["outcomes"]["received"] == 0


def test_times_outside_the_accepted_days_are_quarantined_with_their_reason_and_the_run_goes_on(
    daily, ingested, landing, root
):
    before, names = ingested("impressions"), ("old", "older", "future")

    def add_strangers(rows):
        strangers = [rows]
        for name, days in zip(names, (-3, -4000, 1), strict=True):
            row = rows.slice(0, 1)
            moved = pc.add(row["ts"], pa.scalar(timedelta(days=days)))
            strangers.append(set_column(set_column(row, "ts", moved), "event_id", pa.array([name])))
        return pa.concat_tables(strangers)

    change(landing, add_strangers)
    answer = daily()
    assert answer.status == 0, answer.stderr
    after = answer.document["ingest"]["impressions"]
    assert after["quarantined"] == before["quarantined"] + 3
    assert after["kept"] == before["kept"]
    current = LocalStore(root).read_ref(f"days/{NEXT_DAY}").value["current"]
    file = root / "days" / str(NEXT_DAY) / current / "quarantine" / "impressions-0000.parquet"
    strangers = [row for row in pq.read_table(file).to_pylist() if json.loads(row["raw"])["event_id"] in names]
    reasons = {json.loads(row["raw"])["event_id"]: row["reason"] for row in strangers}
    assert reasons == {"old": "ts_too_old", "older": "ts_too_old", "future": "ts_in_future"}


# --- disks


def test_a_root_that_nothing_can_be_written_to(daily, root):
    before = visible(root)
    shutil.rmtree(root / "staging")
    (root / "staging").touch()  # so that no folder can be made in it, by any user
    answer = at(root, root.parent / "landing", root.parent / "small.toml")("daily", "--date", NEXT_DAY, "--json")
    assert_says(
        answer, 4, "could not write the ref lease under .*: expected a writable disk", "received: Not a directory"
    )
    (root / "staging").unlink()
    assert visible(root) == before


FAIL_IN_TURN = """
import contextlib, io, json, os, shutil, subprocess, sys
from pathlib import Path
from ctr_retrain.flows.cli import main
disk, source, landing, recipe, day = map(Path, sys.argv[1:])
root = disk / "root"

def free():
    status = os.statvfs(disk)
    return status.f_bavail * status.f_bsize

def state():
    refs = {str(p.relative_to(root)): p.read_text() for p in (root / "refs").rglob("*.json")}
    objects = sorted(str(p.parent.relative_to(root)) for p in root.rglob("manifest.json"))
    kept = [o for o in objects if o.startswith(("runs", "models", "staging"))]
    runs = [name for name in refs if name.startswith("refs/runs")]
    return [refs["refs/champion.json"], runs, kept, os.listdir(root / "staging")]

def run(*command):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main(["--root", str(root), "--landing", str(landing), "--recipe", str(recipe), "--json", *command,
                  "--date", str(day)])
    except SystemExit as left:
        return [left.code, json.loads(out.getvalue()), state() == before]

def daily_with_room(room):
    filler = disk / "filler"
    filler.write_bytes(b"x" * (free() - room))
    answers.append(run("daily"))
    filler.unlink()

shutil.copytree(source, root)
before, answers = state(), []
daily_with_room(20_000)
assert run("ingest")[0] == run("validate")[0] == 0
for room in range(20_000, 400_000, 12_000):  # until all but the run itself has found room
    daily_with_room(room)
    if "could not write runs/" in answers[-1][1].get("error", {}).get("message", ""):
        break
subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
answers.append(run("daily"))
print(json.dumps(answers))
"""


@mounts
def test_a_disk_that_is_full_or_read_only_leaves_the_champion_and_no_run(
    great_expectations, first_run, small_landing, recipe, tmp_path
):
    """A small disk of its own, which fills up while the day is published, then while the run is, then is read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    arguments = [disk, first_run.root, small_landing, recipe, NEXT_DAY]
    finished = subprocess.run(
        [*on_small_disk(disk, "40m"), sys.executable, "-c", FAIL_IN_TURN, *map(str, arguments)],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answers = json.loads(finished.stdout)
    for status, document, unchanged in answers:
        assert (status, document["error"]["type"], unchanged) == (4, "StorageError", True), document
    first, *_, full, read_only = (document["error"]["message"] for _, document, _ in answers)
    assert re.search("could not write .*: expected .* room, received: .*No space left on device", first)
    assert re.search("could not write runs/2026-03-08-.*: expected .* room, received: No space left on device", full)
    assert re.search("could not write .*: expected .* room, received: Read-only file system", read_only)
