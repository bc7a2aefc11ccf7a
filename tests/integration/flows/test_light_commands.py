"""Rules of commands that look: none imports TensorFlow, Great Expectations or Prefect, and so they are quick."""

import json
import subprocess
import sys

import pytest

from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.repository import REPOSITORY
from tests.support.small_world import clean_environment

# One interpreter makes all commands in turn, as each more would cost a second; each starts without what it must not
# import, and says what it imported of it.
COMMANDS_IN_TURN = """
import contextlib, io, json, sys
from ctr_retrain.flows.cli import main
found = {}
where, commands = json.loads(sys.argv[1])
for command in commands:
    status = None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            main([*where, *command.split()])
        except SystemExit as left:
            status = left.code
    heavy = sorted({"tensorflow", "keras", "great_expectations", "prefect", "sklearn"} & set(sys.modules))
    found[command] = [status, heavy, said.getvalue()]
print(json.dumps(found))
"""
LOOKS = {
    "--version": 0,
    "status": 0,
    "models": 0,
    "alerts list": 0,
    "alerts watch": 0,
    "gc --dry-run": 0,
    "gc": 0,
    "verify": 0,
    "explain 2026-03-07": 2,
    "daily --date 2026-02-31": 2,
    "backfill --nonsense": 2,
    "rollback --reason why": 2,
    "doctor": 3,  # nothing has landed
}


@pytest.fixture(scope="module")
def told(recipe_file, tmp_path_factory):
    """Each command's exit status, what of the heavy libraries was imported by its end, and stderr."""
    folder = tmp_path_factory.mktemp("light")
    claim_root(LocalStore(folder / "root"), "small")
    (folder / "landing").mkdir()
    where = ["--recipe", recipe_file, "--root", folder / "root", "--landing", folder / "landing"]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS_IN_TURN, json.dumps([list(map(str, where)), list(LOOKS)])],
        cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", LOOKS)
def test_a_command_that_looks_imports_nothing_heavy(told, command):
    status, heavy, said = told[command]
    assert status == LOOKS[command] or (command == "doctor" and status == 4), said
    assert heavy == []
