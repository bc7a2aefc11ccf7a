"""What a store holds where it lies, past the store itself: names under the root, and bytes put there by hand."""

import hashlib
import json
from pathlib import Path

from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.store.local_store import IN_USE, LocalStore


def stored_names(store):
    """Every file or key under the root that stays, without locks and names in use."""
    if isinstance(store, LocalStore):
        root = Path(store.root)
        files = [p for p in root.rglob("*") if p.is_file() and p.suffix != ".lock" and root / IN_USE not in p.parents]
        return {p.relative_to(root).as_posix() for p in files}
    return {stored.name for stored in store._bucket.keys("")}


def put(store, name, content):
    if isinstance(store, LocalStore):
        path = Path(store.root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    else:
        store._bucket.write(name, content)


def read_manifest(folder):
    """The manifest of an opened object."""
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def rewrite(folder, name, text):
    """Write a file of a local object anew, and its manifest, as if it had been published so."""
    (folder / name).write_text(text, encoding="utf-8")
    manifest, content = read_manifest(folder), (folder / name).read_bytes()
    (entry,) = (file for file in manifest["files"] if file["path"] == name)
    entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def staging_of(store):
    """Where its writers fill their folders: on this machine, also for S3."""
    return (Path(store.root) if isinstance(store, LocalStore) else store._cache._folder) / "staging"


def outside_the_root(folder):
    """Each path outside the root with its bytes, mode and time."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_relative_to(folder / "root"):
            stat = path.lstat()
            found[path] = (path.read_bytes() if path.is_file() else None, stat.st_mode, stat.st_mtime_ns)
    return found
