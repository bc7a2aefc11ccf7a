"""Rules of which commands hold the root, which a person types whatever runs, and which only read."""

import inspect

import pytest

from ctr_retrain.flows.cli import COMMANDS
from ctr_retrain.flows.commands.root_commands import alerts
from tests.support.repository import REPOSITORY

# By the file in flows/ where a command's work stands, if that isn't the command itself.
HOLDING = {
    **dict.fromkeys(("ingest", "validate", "daily", "backfill")),
    **dict.fromkeys(("demo", "demo-open-bandit"), "demo.py"),
    "compare": "compare.py",
    "gc": "clean_up.py",
}
BY_HAND = {"accept", "promote", "rollback", "alerts ack"}
ELSEWHERE = {"simulate", "init", "land", "serve"}  # what they write lies in no root, or a run of their own holds it
READING = {"score", "models", "status", "explain", "verify", "doctor", "alerts list"}
NOTING = {"alerts test", "alerts watch", "alerts silence"}  # on incidents and messages, which everybody merges

ALL = COMMANDS | {f"alerts {one.name or one.callback.__name__}": one.callback for one in alerts.registered_commands}


def text_of(name):
    file = HOLDING.get(name)
    return inspect.getsource(ALL[name]) if file is None else (REPOSITORY / "flows" / file).read_text(encoding="utf-8")


def test_of_each_command_it_is_known_by_which_right_it_publishes():
    assert sorted([*HOLDING, *BY_HAND, *ELSEWHERE, *READING, *NOTING]) == sorted(ALL), (
        "put a new command into one of these lists; docs/operations.md, `One run at a time`, says what each means"
    )


@pytest.mark.parametrize("name", HOLDING)
def test_what_holds_the_root_says_so_in_its_code(name):
    assert "one_run(" in text_of(name)


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_what_a_person_types_whatever_runs_goes_by_that_right(name):
    assert "by_hand(" in text_of(name)
