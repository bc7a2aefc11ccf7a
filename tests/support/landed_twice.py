"""A small day that lands in two parts, and processes that take it in: ingest, label, deploy.

The first part is ingested, labelled and its model in service, which is the old state; the second part has landed since,
so there is a new one. Both are known in full, so that a reader can tell them from anything in between.
"""

import json
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from ctr_retrain.tasks.deploy.publish_model import deploy_challenger
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.local_store import IN_USE, LocalStore
from ctr_retrain.tasks.store.s3_bucket import PART_BYTES, Bucket, S3Access
from ctr_retrain.tasks.store.s3_store import S3Store
from ctr_retrain.tasks.store.staging import atomic_write
from tests.support.landed_day import impression, ingest

DAY, NOW = date(2026, 3, 2), datetime(2026, 3, 3, 4, tzinfo=UTC)
OLD, NEW = "2026-03-01-old", "2026-03-02-new"
STAGES = ("ingest", "label", "deploy")


@dataclass(frozen=True)
class Place:
    """A store, its landing zone and the recipe; it travels to other processes."""

    store: LocalStore | S3Store
    landing: Path
    recipe: object

    def seen_anew(self, cache):
        """The same place for a reader who has nothing in its cache."""
        if isinstance(self.store, LocalStore):
            return replace(self, store=LocalStore(Path(self.store.root)))
        return replace(self, store=S3Store(self.store._bucket, Cache(cache, limit_gb=1)))


def land(landing, part, streams=("outcomes", "impressions")):
    """Part 0 or 1 of the day: impressions with duplicates and a broken row, and clicks on those of both parts."""
    events = [f"{part}-{number}" for number in range(400)]
    rows = [impression(event, user_id=f"u{number % 37}") for number, event in enumerate(events)]
    rows += [*rows[:20], impression(f"bad{part}", bid="much")]
    clicked = events[::7] + [f"0-{number}" for number in range(part, 50, 10)]
    clicks = [{"event_id": event, "ts": "2026-03-02T12:00:00Z", "kind": "click"} for event in clicked]
    content = {"outcomes": clicks, "impressions": rows}
    for stream in streams:
        with atomic_write(landing / stream / f"dt={DAY}" / f"{part}.jsonl") as aside:
            aside.write_text("".join(f"{json.dumps(row)}\n" for row in content[stream]), encoding="utf-8")


def make_run(store, version, weights_bytes=1000, champion=None):
    """A run whose challenger may be deployed; champion: the version that it was judged against."""
    day = version[:10]
    description = {"run_id": version, "day": day, "data_through": day, "train_through": day, "labels_as_of": day}
    description |= {"recipe_digest": "r", "code": "c", "champion": champion, "recipe": {}, "numeric_state": {}}
    description |= {"days": {"train": [day], "calibrate": [day], "validate": [day]}, "labels": [], "excluded": {}}
    description |= {"calibration": {"method": "identity", "rows": 0, "positives": 0}}
    with store.writing(layout.run_object(version), {"labels": [], "champion": champion}) as folder:
        challenger = folder / layout.CHALLENGER
        challenger.mkdir()
        (challenger / layout.BUNDLE_FILE).write_text(json.dumps(description), encoding="utf-8")
        (challenger / "weights").write_bytes(version.encode() * (weights_bytes // len(version) + 1))


def take_day_in(place, version, mark=lambda _: None):
    """What a run does for the day, beside training: sweep, ingest, label, deploy; `mark` is told of each stage."""
    place.store.sweep()
    mark("ingest")
    ingest(place.store, place.landing, place.recipe, DAY, NOW)
    mark("label")
    label_day(place.store, place.recipe, DAY, DAY)
    mark("deploy")
    deploy_challenger(place.store, version, "promote", "because", NOW)
    mark("end")


def old_state(store, landing, recipe):
    """The old state, and all that the new one is made from."""
    place = Place(store, landing, recipe)
    land(landing, 0)
    make_run(store, OLD)
    make_run(store, NEW, weights_bytes=PART_BYTES + 1, champion=OLD)  # on S3, an upload in parts
    take_day_in(place, OLD)
    land(landing, 1)
    return place


def copied(place, folder, new_bucket):
    """The place with a root of its own."""
    if isinstance(place.store, LocalStore):
        shutil.copytree(place.store.root, folder / "root", ignore=shutil.ignore_patterns(IN_USE))
        return replace(place, store=LocalStore(folder / "root"))
    source = place.store._bucket
    bucket = Bucket(new_bucket(), "root", source._access)
    for stored in source.keys(""):
        key = f"root/{stored.name}"
        source._client.copy_object(Bucket=bucket._bucket, Key=key, CopySource={"Bucket": source._bucket, "Key": key})
    return replace(place, store=S3Store(bucket, Cache(folder / "cache", limit_gb=1)))


def contents(store):
    """What each object's manifest says, SHA-256 of all its files included, without who wrote it."""
    found = {path: store.manifest(path) for path in store.ages()}
    return {path: {key: value for key, value in said.items() if key != "writer"} for path, said in found.items()}


def refs(store):
    """What the refs say that a run for the day swaps."""
    found = {name: store.read_ref(name) for name in (layout.day_ref(DAY), layout.CHAMPION_REF)}
    return {name: ref.value if ref else None for name, ref in found.items()}


def named_by_refs(store):
    """The objects that the refs name."""
    champion = read_champions(store).current
    return {current_day_object(store, DAY), layout.model_object(champion.version)}


def s3_store_in(server, folder):
    return S3Store(Bucket(server.new_bucket(), "root", S3Access(server.url)), Cache(folder / "cache", limit_gb=1))
