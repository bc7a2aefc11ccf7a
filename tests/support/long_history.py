"""Roots with the history of many days, made of small documents: no day is ingested and nothing is trained."""

import hashlib
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.older_refs import TENURE
from tests.support.stored import put

BEFORE = Path(__file__).parents[1] / "unit" / "models" / "documents" / "before" / "run.json"
FIRST = date(2025, 1, 1)
RUN = json.loads(BEFORE.read_text(encoding="utf-8"))
WRITERS = 16  # files written at once, to a server that answers each in its own time


def run_name(day, number=0):
    return f"{day}-{number:08x}"


def run_files(day, number=0, writer="", **changes):
    """The files of a run: its document and its manifest, which here names nothing else. writer: in a bucket."""
    document = {**RUN, "run_id": run_name(day, number), "date": str(day), "day": str(day), **changes}
    text = json.dumps(document).encode()
    path = layout.run_object(run_name(day, number))
    beside = f"{path}.by-{writer}" if writer else path
    entry = {"path": layout.RUN_FILE, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    manifest = {"code_version": "0", "files": [entry], "writer": writer, "champion": None, "labels": []}
    return {f"{beside}/{layout.RUN_FILE}": text, f"{path}/manifest.json": json.dumps(manifest).encode()}


def decision_ref(day, *, accepted=True):
    decision = {
        "accepted": accepted,
        "by": "validation",
        "reason": "all 20 expectations met" if accepted else "failed rows",
        "day_object": f"days/{day}/d",
        "validation": f"validations/{day}/v",
    }
    return {f"refs/{layout.accepted_ref(day)}.json": json.dumps(decision).encode()}


def night_ref(day, **changes):
    """The ref of a night whose one attempt came to a verdict."""
    began = f"{day + timedelta(days=1)}T04:00:00+00:00"
    done = {"ended": began.replace("T04:0", "T04:5"), "end": "done", "decision": "hold", "error": ""}
    attempt = {"host": "here", "process": 1, "started": "1", "began": began, **done, **changes}
    return {f"refs/{layout.night_ref(day)}.json": json.dumps({"day": str(day), "attempts": [attempt]}).encode()}


def day_files(day, writer=""):
    """All files of a day that was ingested, accepted and run."""
    runs = {"current": run_name(day), "history": [run_name(day)]}
    landed = {"current": "d", "history": [{"current": "d"}]}
    return {
        **run_files(day, writer=writer),
        **decision_ref(day),
        **night_ref(day),
        f"refs/{layout.run_ref(day)}.json": json.dumps(runs).encode(),
        f"refs/{layout.day_ref(day)}.json": json.dumps(landed).encode(),
    }


def put_all(store, files):
    """Write files by their names under a root, each as it is."""
    if isinstance(store, LocalStore):
        for name, content in files.items():
            put(store, name, content)
        return
    names = sorted(files)
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda start: _put_keys(store, names[start::WRITERS], files), range(WRITERS)))


def _put_keys(store, names, files):
    """Put keys by bare HTTP, which moto's server takes: to sign thousands of requests takes boto3 half a minute."""
    place = store._bucket
    connection = http.client.HTTPConnection(urlsplit(place._access.endpoint_url).netloc)
    for name in names:
        connection.request("PUT", f"/{place._bucket}/{place._key(name)}", files[name])
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, name
    connection.close()


def put_days(store, days, writer="", first=FIRST, whole=None):
    """A root with the history of so many days, whose first run serves; returns its newest day.

    whole: of so many newest runs the documents are there, which nobody reads of the others; by default of all.
    """
    files, from_here = {}, first + timedelta(days=days - (days if whole is None else whole))
    for number in range(days):
        made = day_files(first + timedelta(days=number), writer)
        needless = first + timedelta(days=number) < from_here
        files |= {name: text for name, text in made.items() if not (needless and name.endswith(layout.RUN_FILE))}
    champion = {**TENURE, "version": run_name(first), "run_day": str(first)}
    model = {"code_version": "0", "files": [], "data_through": str(first), "recipe_digest": "x"}
    files["refs/recipe-name.json"] = b'{"current": "tiny"}'
    files["refs/champion.json"] = json.dumps(
        {"current": champion["version"], "history": [champion], "barred": []}
    ).encode()
    files[f"models/{champion['version']}/manifest.json"] = json.dumps(model).encode()
    put_all(store, files)
    return first + timedelta(days=days - 1)
