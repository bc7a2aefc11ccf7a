"""Rules of what a command prints, shown by a command line of three commands."""

import json
from dataclasses import dataclass

import pytest
import typer

from ctr_retrain.flows.commands.command_output import CommandOutput, EarlyOutput, run
from ctr_retrain.models.errors import DataRejectedError

app = typer.Typer()


@dataclass(frozen=True)
class Days:
    """The answer of each of its commands."""

    days: int

    def to_json(self):
        return {"days": self.days}


def show(answer):
    print(f"days: {answer.days}")  # noqa: T201 - as a command does for a person


@app.callback()
def options(*, json: bool = False, version: bool = False):
    if version:
        raise EarlyOutput(CommandOutput.of(Days(0), show))


@app.command()
def good():
    print("a library's chatter")  # noqa: T201 - what stdout must not get beside a document
    return CommandOutput.of(Days(3), show)


@app.command()
def bad():
    answer = Days(1)
    return CommandOutput.of(answer, show, DataRejectedError("expected 3 days", document=answer))


HOSTILE = "a\x1b[2Jb \udcff \u202e https://user:SECRET@host"


@app.command()
def hostile():
    msg = f"received {HOSTILE}"
    raise DataRejectedError(msg)


@app.command()
def broken():
    raise KeyError(HOSTILE)


@app.command()
def silent():
    return None


@pytest.fixture
def outcome(capsys):
    """Run the command line; return its exit status, stdout and stderr."""

    def of(*arguments):
        with pytest.raises(SystemExit) as ended:
            run(app, arguments)
        return ended.value.code, *capsys.readouterr()

    return of


def test_person_reads_lines_and_a_machine_one_document(outcome):
    assert outcome("good") == (0, "a library's chatter\ndays: 3\n", "")
    status, out, err = outcome("good", "--json")
    assert (status, json.loads(out), err) == (0, {"days": 3}, "a library's chatter\n")


def test_document_that_tells_of_a_failure_is_shown_before_it_fails(outcome):
    assert outcome("bad") == (3, "days: 1\n", "DataRejectedError: expected 3 days\n")
    status, out, _ = outcome("bad", "--json")
    assert status == 3
    assert json.loads(out) == {
        "days": 1,
        "error": {"type": "DataRejectedError", "message": "expected 3 days", "exit_code": 3},
    }


def test_option_may_end_the_command_line_with_an_output_of_its_own(outcome):
    assert outcome("--version", "good") == (0, "days: 0\n", "")


def test_one_command_line_leaves_nothing_behind_for_the_next(outcome):
    outcome("good", "--json")
    assert outcome("silent") == (0, "", "")
    assert outcome("silent", "--json") == (0, "", "")


@pytest.mark.parametrize("command", ["hostile", "broken", HOSTILE])
def test_nothing_that_an_error_repeats_acts_on_a_terminal_or_tells_a_password(outcome, command):
    status, out, err = outcome(command)
    assert status
    assert out == ""
    assert "\\x1b[2Jb" in err
    assert not set(err) & set("\x1b\udcff\u202e")
    assert "SECRET" not in err


@pytest.mark.parametrize("command", ["hostile", "broken"])
def test_json_of_an_error_is_one_that_strict_parsers_take_and_tells_no_password(outcome, command):
    _, out, _ = outcome("--json", command)
    json.dumps(json.loads(out), ensure_ascii=False).encode("utf-8")
    assert "SECRET" not in json.loads(out)["error"]["message"]
