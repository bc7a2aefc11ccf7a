"""Functions that tests call in a fresh process."""

import os
import signal
import sys
from pathlib import Path

from ctr_retrain.models.errors import UsageError

calls = []


def note(file, words):
    """Write down the process, the words, whether it was called before, and whether Keras knows layers of ours."""
    calls.append(words)
    first = "called for the first time" if len(calls) == 1 else "called before"
    layers = "layers of ours" if "ctr_retrain.models.serving.bundle" in sys.modules else "no layer of ours"
    Path(file).write_text("|".join([str(os.getpid()), words, first, layers]), encoding="utf-8")


def refuse():
    """Raise one of our errors."""
    msg = "model x: expected another."
    raise UsageError(msg)


def fail():
    """Raise another one."""
    return 1 / 0


def die():
    """End without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang():
    """Never end."""
    signal.pause()
