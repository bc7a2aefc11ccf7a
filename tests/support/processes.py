"""Python processes of their own, for tests of what happens between processes and when one dies."""

import pickle
import subprocess
import sys

import psutil

from tests.support.repository import REPOSITORY

PREAMBLE = (
    "import os, pickle, signal, sys, time\n"
    "from pathlib import Path\n"
    "from ctr_retrain.models.errors import *\n"
    "from ctr_retrain.tasks.store.local_store import *\n"
    "from ctr_retrain.tasks.store.protocol import *\n"
)
WITH_STORE = "store = pickle.loads(bytes.fromhex(sys.argv.pop(1)))\n"


def start(program, *arguments, prefix=()):
    """A Python process of its own that runs `program` with the store module at hand."""
    command = [*prefix, sys.executable, "-c", PREAMBLE + program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_with(store, program, *arguments):
    """The same, with the test's own `store` in it, whichever it is."""
    return start(WITH_STORE + program, pickle.dumps(store).hex(), *arguments)


def finish(process):
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out.strip()


def children_with(word, process_id=None):
    """The processes below this one, or below another, in whose command the word stands; none that has ended."""
    return [one for one in psutil.Process(process_id).children(recursive=True) if word in _command(one)]


def _command(process):
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # or a zombie
        return ""
