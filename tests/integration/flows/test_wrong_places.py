"""Every command says which place isn't there, and refuses wrong arguments before anything slow is imported or started.

Commands and options are those that the command line has: a new one is asked for its right and its wrong values here.
"""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import typer

from ctr_retrain.flows.cli import app
from ctr_retrain.flows.commands.places import READ_LANDING, READ_ROOT
from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.repository import REPOSITORY

# By option or argument: a value that is right, and one that is wrong; None where any value is right, or none is given.
VALUES = {
    "--date": ("2026-03-01", "yesterday"),
    "--start": ("2026-03-01", "2026-02-30"),
    "--end": ("2026-03-02", "2026-02-01"),
    "--reason": ("why", " "),
    "--from": ("rows.csv", "none.csv"),
    "--outcomes": ("rows.csv", "none.csv"),
    "--input": ("rows.csv", "none.csv"),
    "--output": ("scores.csv", "scores.doc"),
    "--wheel": ("rows.csv", "none.whl"),
    "--out": ("made", None),
    "--folder": ("made", None),
    "--days": ("1", "0"),
    "--rows-per-day": ("100", "1"),
    "--seed": ("1", "one"),
    "--seeds": ("1", "0"),
    "--cost-send": ("0.1", "-1"),
    "--value-click": ("1", "nan"),
    "--currency": ("EUR", "euro"),
    "--retrain": ("last", "often"),
    "--only": ("failed", "often"),
    "--from-plan": ("rows.csv", "none.json"),
    "--days-at-once": ("1", "0"),
    "--cron": ("0 4 * * *", "nightly"),
    "--timezone": ("UTC", "Mars/Base"),
    "--strategies": ("none", "nonesuch"),
    "--half-lives": ("3", "a"),
    "--class-powers": ("1", "a"),
    "--ages": ("1", "-1"),
    "--criterion": ("log_loss", "size"),
    "--model": ("m", "../../x"),
    "--max-unreadable": ("0.5", "2"),
    "--until": ("2026-03-01", "soon"),
    "KIND": ("slide", "nonesuch"),
    "SUBJECT": ("ad", None),
    "VERSION": ("m", "../../x"),
    "RUN_OR_DATE": ("2026-03-01", "../../x"),
}
# Run by a new interpreter, in which nothing that is slow can be imported; what it reads is a list of command lines.
PROGRAM = """
import contextlib, io, json, sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"prefect", "tensorflow", "keras", "great_expectations"}:
            raise ImportError("slow import of " + name)

sys.meta_path.insert(0, Refused())
from ctr_retrain.flows.cli import main
answers = []
for arguments in json.load(sys.stdin):
    said, status = io.StringIO(), None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            main(arguments)
        except SystemExit as left:
            status = left.code
    answers.append([status, said.getvalue()])
print(json.dumps(answers))
"""


def commands_of(group, before=""):
    """Commands by what one types, those below another too, such as `alerts list`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(commands_of(typer.main.get_command(app)))


def names_of(command, *, required_only=False):
    """Options, by their long names, and arguments, by their words."""
    found = {}
    for parameter in COMMANDS[command].params:
        name = parameter.opts[-1] if parameter.param_type_name == "option" else parameter.metavar
        if name != "--help" and not getattr(parameter, "is_flag", False) and (parameter.required or not required_only):
            found[name] = parameter
    return found


def line_of(command, name="", value=""):
    """A command line with all that the command asks for, right but for one value."""
    wanted = list(names_of(command, required_only=True))
    if command == "backfill" and name != "--from-plan":  # either of the two must be there
        wanted += ["--start", "--end"]
    given = {one: VALUES[one][0] for one in wanted}
    if name:
        given[name] = value
    return [
        *command.split(),
        *(part for key, text in given.items() for part in ([key, text] if key[:2] == "--" else [text])),
    ]


ARGUMENTS = [(command, name) for command in COMMANDS for name in names_of(command) if VALUES[name][1] is not None]
PLACES = ("root", "landing", "recipe")


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Status and stderr of each command with each wrong value, and with each place that isn't there."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "rows.csv").write_text("id,ts\n1,2026-03-01\n", encoding="utf-8")
    (folder / "landing").mkdir()
    claim_root(LocalStore(folder / "root"), "demo")
    right = {"root": str(folder / "root"), "landing": str(folder / "landing"), "recipe": "demo"}
    lines = {}
    for command, name in ARGUMENTS:
        lines[command, name] = [*options(right), *line_of(command, name, VALUES[name][1])]
    for command in COMMANDS:
        for place in PLACES:
            lines[command, place] = [
                *options({**right, place: str(folder / missing(place, command))}),
                *line_of(command),
            ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(list(lines.values())), cwd=folder, env=environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {key: SimpleNamespace(status=s, words=w) for key, (s, w) in zip(lines, json.loads(done.stdout), strict=True)}


def missing(place, command):
    """The name of a place that isn't there, in which a message is found."""
    return f"no-{place}-{command.replace(' ', '-')}"


def options(places):
    return [part for name, value in places.items() for part in (f"--{name}", value)]


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CTR_RETRAIN_")}
    return {**kept, "PYTHONPATH": f"{REPOSITORY / 'infra' / 'package'}"}


@pytest.mark.parametrize(("command", "name"), ARGUMENTS, ids=lambda value: value.strip("-"))
def test_a_wrong_value_is_refused_before_anything_slow_is_imported(said, command, name):
    answer = said[command, name]
    assert answer.status == 2, answer.words
    assert "slow import" not in answer.words
    assert "Traceback" not in answer.words


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_that_is_not_there_is_said(said, command, place):
    if command == "doctor":  # says it among its checks
        return
    answer = said[command, place]
    assert missing(place, command) in answer.words, answer.words
    refusing = {"root": READ_ROOT, "landing": READ_LANDING, "recipe": set(COMMANDS)}[place]
    if {command, command.split()[0]} & refusing:
        assert answer.status == 2, answer.words
        assert "Traceback" not in answer.words
    else:
        assert f"note: {'landing zone' if place == 'landing' else place} " in answer.words
