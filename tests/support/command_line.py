"""The command line in this process: what a test types, and what it gets back."""

import contextlib
import io
import json
import os
import re
from types import SimpleNamespace

import jsonschema

from ctr_retrain.flows.cli import PREFECT_ASIDE, main
from tests.docs.schemas import ANSWERS
from tests.support.repository import REPOSITORY

SCHEMAS = {name: name for name in ANSWERS} | {"accept": "validate", "demo-open-bandit": "demo", "--version": "version"}
SCHEMAS |= {"alerts-silence": "alerts-ack"}


def run(*arguments):
    """Run the command line; answers its exit status, stdout, stderr and, with --json, the one document of stdout."""
    out, err = io.StringIO(), io.StringIO()
    ours, status = PREFECT_ASIDE.keys() - os.environ.keys(), None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main([str(argument) for argument in arguments])
    except SystemExit as left:
        status = left.code
    finally:
        for name in ours:
            os.environ.pop(name, None)  # which the command line sets for its own process
    document = json.loads(out.getvalue()) if "--json" in arguments else None
    if document is not None:
        assert_published(document, arguments)
    return SimpleNamespace(status=status, stdout=out.getvalue(), stderr=err.getvalue(), document=document)


def assert_published(document, arguments):
    """Check a printed document against the schema that is published for its command, or for a failure."""
    typed = " ".join(map(str, arguments)).replace("alerts ", "alerts-").split(" ")
    commands = [word for word in typed if word in SCHEMAS]
    name = "error" if "error" in document else commands[0] if commands else None
    name = "backfill-plan" if (name, "--plan" in typed) == ("backfill", True) else name
    if name:
        schema = json.loads((REPOSITORY / "docs" / "schemas" / f"{SCHEMAS[name]}.schema.json").read_text("utf-8"))
        jsonschema.validate(document, schema)


def assert_failed(answer, status, kind, words):
    """Check that a command failed by such an error, in one document and without a traceback."""
    assert answer.status == status, answer.stderr
    error = answer.document["error"]
    assert (error["exit_code"], error["type"]) == (status, kind)
    assert re.search(words, error["message"]), error["message"]
    assert "Traceback" not in answer.stderr


def at(root, landing, recipe):
    """`run` with the global options set."""

    def run_there(*arguments):
        return run("--recipe", recipe, "--root", root, "--landing", landing, *arguments)

    return run_there
