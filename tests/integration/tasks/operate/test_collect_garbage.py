"""Rules of `gc`: what a ref, a kept run or a live process needs stays, the rest goes once it is old enough."""

import json
import random
import signal
from datetime import UTC, datetime, timedelta

import pytest

from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.store.champion import roll_back, take_over
from tests.support.counts import draws
from tests.support.processes import finish, start_with
from tests.support.stored import stored_names

NOW = datetime(2026, 3, 30, tzinfo=UTC)
AT_ONCE = timedelta(0)

BUILD = """
import json
for path, meta in json.loads(sys.argv[1]):
    with store.writing(path, meta) as folder: (folder / 'rows').write_bytes(path.encode())
"""
USE = """
store.open('days/2026-03-20/old')
with store.writing('labels/2026-03-20/new', {'inputs': []}) as folder: (folder / 'rows').write_bytes(b'abc')
with store.writing('days/2026-03-20/half', {}) as folder:
    print('ready', flush=True)
    signal.pause()
"""


@pytest.fixture(params=["local", "s3"])
def store(request):
    return request.getfixturevalue("local_store" if request.param == "local" else "s3_store")


def build(store, *objects):
    """Objects that another process wrote, which has ended; each a path, or a path and what its manifest says."""
    described = [entry if isinstance(entry, tuple) else (entry, {}) for entry in objects]
    finish(start_with(store, BUILD, json.dumps(described)))


def tenure(version):
    return Tenure(
        version=version,
        run_day=version[:10],
        data_through="2026-03-01",
        action="promote",
        reason="because",
        at=NOW.isoformat(),
    )


def run(version, *labels, champion=None):
    return f"runs/{version}", {"labels": labels, "champion": champion}


def names(store):
    return set(store.ages())


def test_what_a_ref_or_a_kept_run_leads_to_stays_and_the_rest_goes(store, tiny_recipe):
    build(
        store,
        *(f"days/2026-03-20/{name}" for name in ("now", "before", "read", "never")),
        *(f"validations/2026-03-20/{name}" for name in ("now", "before")),
        ("labels/2026-03-20/now", {"inputs": ["days/2026-03-20/now"]}),
        ("labels/2026-03-20/before", {"inputs": ["days/2026-03-20/before"]}),
        ("labels/2026-01-01/read", {"inputs": ["days/2026-03-20/read"]}),
        ("labels/2026-01-01/unread", {"inputs": ["days/2026-03-20/now"]}),
        run("2026-03-20-a", "labels/2026-01-01/read"),
        run("2025-03-20-b"),
        *("comparisons/2026-03-20-c", "comparisons/2025-03-20-d"),
    )
    history = [{"current": name} for name in ("before", "now")]
    store.swap_ref("days/2026-03-20", {"current": "now", "history": history}, None)
    judged = {"day_object": "days/2026-03-20/now", "validation": "validations/2026-03-20/now"}
    decision = {"accepted": True, "by": "validation", "reason": "all met", **judged}
    store.swap_ref("accepted/2026-03-20", decision, None)
    before = names(store)
    gone = {
        *("days/2026-03-20/before", "days/2026-03-20/never", "validations/2026-03-20/before"),
        *("labels/2026-03-20/before", "labels/2026-01-01/unread", "runs/2025-03-20-b"),
        "comparisons/2025-03-20-d",
    }
    assert set(collect_garbage(store, tiny_recipe(), dry_run=True, min_age=AT_ONCE).removed) == gone
    assert names(store) == before
    answer = collect_garbage(store, tiny_recipe(), min_age=AT_ONCE)
    assert set(answer.removed) == gone
    assert names(store) == before - gone
    assert answer.kept == len(before - gone)
    assert not any(name.startswith(path) for name in stored_names(store) for path in gone)
    assert store.read_ref("days/2026-03-20").value["history"] == history


def test_nothing_younger_than_the_recipe_says_is_removed(store, tiny_recipe):
    build(store, "days/2026-03-20/never")
    assert collect_garbage(store, tiny_recipe()).removed == ()
    assert names(store) == {"days/2026-03-20/never"}


def test_champions_that_a_rollback_can_reach_stay_with_their_runs_and_barred_ones_go(store, tiny_recipe):
    versions = [f"2025-01-0{number}-v" for number in range(1, 7)]
    build(store, *(f"models/{v}" for v in versions), *(run(v) for v in versions), run("2026-03-20-new"))
    for before, version in zip([None, *versions], versions, strict=False):
        take_over(store, tenure(version), met=before)
    roll_back(store, "clicks fell", NOW)  # 6 is barred, 5 in service again
    kept = [versions[4], versions[3], versions[2]]
    collect_garbage(store, tiny_recipe(retention={"champions": 2}), min_age=AT_ONCE)
    models = {f"models/{v}" for v in (*kept, versions[0])}  # the first is the anchor, which refreshes are held to
    assert names(store) == models | {f"runs/{v}" for v in kept} | {"runs/2026-03-20-new"}
    assert roll_back(store, "again", NOW)[1].version in kept


def test_the_champion_that_a_kept_run_met_stays(store, tiny_recipe):
    build(store, "models/2025-01-01-old", "models/2025-01-02-older", run("2026-03-20-a", champion="2025-01-01-old"))
    collect_garbage(store, tiny_recipe(), min_age=AT_ONCE)
    assert names(store) == {"models/2025-01-01-old", "runs/2026-03-20-a"}


@pytest.mark.parametrize("seed", range(draws(3, 30)))
def test_of_a_random_graph_all_that_can_be_reached_opens_and_nothing_else_is_left(store, tiny_recipe, seed):
    chance = random.Random(seed)  # noqa: S311 - a graph, no secret
    days = [f"days/2026-02-{day:02}/{letter}" for day in range(1, 6) for letter in "ab"]
    labels = {f"labels/2025-02-01/{n}": chance.sample(days, 2) for n in range(6)}
    runs = {f"2026-0{chance.choice('13')}-1{n}-r": chance.sample(sorted(labels), 2) for n in range(4)}
    runs["2026-05-01-newest"] = chance.sample(sorted(labels), 1)
    build(
        store,
        *days,
        *((path, {"inputs": inputs}) for path, inputs in labels.items()),
        *(run(version, *read) for version, read in runs.items()),
    )
    current = {path.split("/")[1]: path for path in chance.sample(days, 4)}
    for day, path in current.items():
        store.swap_ref(f"days/{day}", {"current": path.rsplit("/", maxsplit=1)[-1], "history": []}, None)
    kept_runs = [version for version in runs if version >= "2026-03-01"]  # 61 days before the newest
    kept_labels = {path for version in kept_runs for path in runs[version]}
    reached = {f"runs/{version}" for version in kept_runs} | kept_labels | set(current.values())
    reached |= {path for label in kept_labels for path in labels[label]}
    collect_garbage(store, tiny_recipe(retention={"runs_days": 61}), min_age=AT_ONCE)
    assert names(store) == reached
    assert all((store.open(path) / "rows").read_bytes() == path.encode() for path in reached)


def test_what_a_live_process_opened_or_wrote_stays_until_it_ends(local_store, tiny_recipe):
    build(local_store, "days/2026-03-20/old", "days/2026-03-20/never")
    process = start_with(local_store, USE)
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    collect_garbage(local_store, tiny_recipe(), min_age=AT_ONCE)
    assert names(local_store) == {"days/2026-03-20/old", "labels/2026-03-20/new"}
    process.send_signal(signal.SIGKILL)
    process.communicate()
    collect_garbage(local_store, tiny_recipe(), min_age=AT_ONCE)
    assert names(local_store) == set()
    assert local_store.sweep() == 1
    assert stored_names(local_store) == set()


READ = """
store.open('labels/2026-01-01/read')
print('ready', flush=True)
time.sleep(60)
"""


def test_landed_days_of_labels_that_a_live_process_reads_stay_with_their_shards(local_store, tiny_recipe):
    """Labels hold no impressions: whoever opened them goes on to open the landed days that they were made of."""
    shard = "pieces/days/2026-01-01/replaced/0000-of-0001"
    build(
        local_store,
        ("days/2026-01-01/replaced", {"pieces": [shard]}),
        shard,
        "days/2026-01-01/never",
        ("labels/2026-01-01/read", {"inputs": ["days/2026-01-01/replaced"]}),
    )
    process = start_with(local_store, READ)
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    collect_garbage(local_store, tiny_recipe(), min_age=AT_ONCE)
    assert names(local_store) == {"days/2026-01-01/replaced", shard, "labels/2026-01-01/read"}
    process.kill()
    process.communicate()
    collect_garbage(local_store, tiny_recipe(), min_age=AT_ONCE)
    assert names(local_store) == set()


def test_pieces_stay_with_the_day_whose_rows_they_hold(store, tiny_recipe):
    shards = {name: f"pieces/days/2026-03-20/{name}/0000-of-0002" for name in ("now", "old")}
    build(
        store, *((f"days/2026-03-20/{name}", {"pieces": [shard]}) for name, shard in shards.items()), *shards.values()
    )
    store.swap_ref("days/2026-03-20", {"current": "now", "history": []}, None)
    found = collect_garbage(store, tiny_recipe(), min_age=AT_ONCE)
    assert set(found.removed) == {"days/2026-03-20/old", shards["old"]}
    assert names(store) == {"days/2026-03-20/now", shards["now"]}
