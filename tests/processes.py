"""A Python process of its own, for tests of what happens between processes and when one dies."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def start(program, *arguments, prefix=()):
    """A Python process of its own that runs `program` with the store module at hand."""
    preamble = (
        "import os, sys, time\nfrom pathlib import Path\nfrom tasks.store import *\nfrom models.errors import *\n"
    )
    command = [*prefix, sys.executable, "-c", preamble + program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()
