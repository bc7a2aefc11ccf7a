"""The end of a process with the one that started it, also where that one is killed and can tell nobody."""

from __future__ import annotations

import ctypes
import os
import runpy
import select
import signal
import sys
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # of Linux: prctl(2)


def end_with_parent(pipe: int = 0, last: Callable[[], None] | None = None) -> None:
    """End this process as soon as the other end of a pipe is closed, which the kernel does for whoever dies.

    pipe: by default stdin, which nobody but the parent writes. last: what is still to be done then.
    """
    # A process that somebody stopped would never look at its pipe.
    signal_at_parents_end(signal.SIGCONT)
    Thread(target=_watch, args=(pipe, last), daemon=True).start()


def signal_at_parents_end(number: signal.Signals) -> None:
    """Let the kernel send this process a signal when the thread ends that started it; does nothing but on Linux."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))


def _watch(pipe: int, last: Callable[[], None] | None) -> None:
    poll = select.poll()
    poll.register(pipe, 0)  # for nothing but the hang-up, which is told unasked
    poll.poll()
    try:
        if last:
            last()
    finally:
        os._exit(1)


def main() -> None:
    """Run the module of the command line, and end with the parent: `python -m …parents_end MODULE ARGUMENT…`."""
    end_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
