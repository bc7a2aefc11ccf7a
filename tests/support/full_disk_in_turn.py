"""A day run again and again on a small disk that is full from one stage on; a script, to be run where one is mounted.

`python -m tests.support.full_disk_in_turn DISK DAYS LANDING RECIPE DAY STAGE…` prints JSON: of each stage what
`daily` came to and which refs changed, and last what it came to with room again.
"""

import contextlib
import io
import json
import shutil
import sys
from pathlib import Path

import ctr_retrain.flows.daily as story
from ctr_retrain.flows.cli import main
from tests.support.small_world import ALL_BUT_DAYS

# What a run may leave behind that ended without a verdict: who had the root, and what people were told.
OF_THE_ATTEMPT = ("lease", "nights", "incidents", "outbox")


class SmallDisk:
    """A disk with a root on it, and a file that takes all of its room."""

    def __init__(self, disk):
        self.root, self._filler = disk / "root", disk / "filler"

    def fill(self):
        with contextlib.suppress(OSError), self._filler.open("wb") as filler:
            while True:
                filler.write(bytes(1 << 16))
                filler.flush()

    def free(self):
        self._filler.unlink(missing_ok=True)
        # A run that can't write can't give the lease back either; its process, which is this one, doesn't end.
        (self.root / "refs" / "lease.json").unlink(missing_ok=True)

    def refs(self):
        found = sorted((self.root / "refs").rglob("*.json"))
        names = {path.relative_to(self.root / "refs").as_posix(): path.read_text(encoding="utf-8") for path in found}
        return {name: text for name, text in names.items() if not name.startswith(OF_THE_ATTEMPT)}


def run(root, landing, recipe, day):
    """What the command line makes of the day: its exit status and its document."""
    out = io.StringIO()
    places = ("--root", root, "--landing", landing, "--recipe", recipe)
    try:
        with contextlib.redirect_stdout(out):
            main([*map(str, places), "--json", "daily", "--date", day])
    except SystemExit as left:
        return left.code, json.loads(out.getvalue())
    raise AssertionError


def run_full_from(stage, disk, *places):
    """Run the day on a disk that is full when a stage begins; its status, document and the refs that changed."""
    work, before = getattr(story, stage), disk.refs()

    def begun(*arguments, **named):
        disk.fill()
        return work(*arguments, **named)

    setattr(story, stage, begun)
    try:
        status, document = run(disk.root, *places)
    finally:
        setattr(story, stage, work)
        disk.free()
    changed = sorted(name for name, _ in disk.refs().items() ^ before.items())
    return {"stage": stage, "status": status, "error": document.get("error"), "changed": changed}


def in_turn(disk, days, landing, recipe, day, *stages):
    small = SmallDisk(Path(disk))
    shutil.copytree(days, small.root, ignore=shutil.ignore_patterns(*ALL_BUT_DAYS))

    found = [run_full_from(stage, small, landing, recipe, day) for stage in stages]
    sys.stdout.write(json.dumps([*found, run(small.root, landing, recipe, day)]))


if __name__ == "__main__":
    in_turn(*sys.argv[1:])
