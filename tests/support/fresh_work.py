"""Functions that tests call in a fresh process."""

import errno
import os
import signal
import sys
import tempfile
from pathlib import Path

from ctr_retrain.models.errors import UsageError

calls = []


def note(file, words):
    """Write down the process, the words, whether it was called before, and what has been imported."""
    calls.append(words)
    first = "called for the first time" if len(calls) == 1 else "called before"
    layers = "layers of ours" if "ctr_retrain.models.serving.bundle" in sys.modules else "no layer of ours"
    wrappers = "scikit-learn" if "sklearn" in sys.modules else "no scikit-learn"  # which Keras would import
    Path(file).write_text("|".join([str(os.getpid()), words, first, layers, wrappers]), encoding="utf-8")


def refuse():
    """Raise one of our errors."""
    msg = "model x: expected another."
    raise UsageError(msg)


def fail():
    """Raise another one."""
    return 1 / 0


def die(*_):
    """End without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash():
    """End as a library's fault would."""
    os.kill(os.getpid(), signal.SIGSEGV)


def leave():
    """End with the exit status of a Python that failed, without a word."""
    os._exit(1)


def find_no_room(*_):
    """Raise what a full disk does, as a cause of something else."""
    msg = "could not write: No space left on device"
    raise RuntimeError(msg) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def need_more_memory():
    """Raise what too little memory does."""
    raise MemoryError


def put_aside():
    """Leave a file in the temporary folder, as TensorFlow does."""
    with tempfile.NamedTemporaryFile(delete=False) as left:
        left.write(b"generated")


def note_and_hang(file):
    """Write down the process, leave a file aside, and never end."""
    put_aside()
    Path(file).write_text(f"{os.getpid()}.", encoding="utf-8")
    signal.pause()


def hang():
    """Never end."""
    signal.pause()
