"""The command line in this process: what a test types, and what it gets back."""

import contextlib
import io
import json
import os
from types import SimpleNamespace

from ctr_retrain.flows.cli import main

LOGGING = "PREFECT_LOGGING_LEVEL"


def run(*arguments):
    """Run the command line; answers its exit status, stdout, stderr and, with --json, the one document of stdout."""
    out, err = io.StringIO(), io.StringIO()
    before, status = os.environ.get(LOGGING), None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main([str(argument) for argument in arguments])
    except SystemExit as left:
        status = left.code
    finally:
        if before is None:
            os.environ.pop(LOGGING, None)  # which the command line sets for its own process
    document = json.loads(out.getvalue()) if "--json" in arguments else None
    return SimpleNamespace(status=status, stdout=out.getvalue(), stderr=err.getvalue(), document=document)


def at(root, landing, recipe):
    """`run` with the global options set."""

    def run_there(*arguments):
        return run("--recipe", recipe, "--root", root, "--landing", landing, *arguments)

    return run_there
