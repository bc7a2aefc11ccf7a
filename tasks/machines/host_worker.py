"""The process that trains on one of several machines: `python -m …host_worker`, which a run starts on each.

The first line of stdin is the work, as JSON; lines of JSON on stdout tell logs, progress, the answer and that it lives.
It ends when its stdin does, which the kernel closes with whoever started it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from threading import Event, Thread, Timer
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.errors import UsageError
from ctr_retrain.tasks.execution.code_digest import code_digest
from ctr_retrain.tasks.execution.model_worker import Pipe, answer_to, show_life, told_of_fault
from ctr_retrain.tasks.execution.parents_end import end_with_parent
from ctr_retrain.tasks.machines.lost_machine import told_of_lost_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

JOIN_SECONDS = 300  # within which all machines find each other


def main() -> None:
    """Do the work of the first line and answer; then wait for the end, since the others may still be at work."""
    pipe = Pipe()
    logging.basicConfig(level=logging.INFO, handlers=[pipe])
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    folder = tempfile.mkdtemp()
    end_with_parent(last=partial(shutil.rmtree, folder, ignore_errors=True))
    Thread(target=show_life, args=(pipe,), daemon=True).start()
    request = json.loads(sys.stdin.readline())
    # TensorFlow reads the first when a strategy is made, and leaves code that it generates in the second.
    os.environ |= {"TF_CONFIG": json.dumps(request["cluster"]), "TMPDIR": folder}
    tempfile.tempdir = folder  # asked for its place before, it wouldn't look at the environment any more
    pipe.say(answered=base64.b64encode(_answer(request, pipe)).decode())
    Event().wait()


def _answer(request: Mapping[str, Any], pipe: Pipe) -> bytes:
    """Do the work, unless it is that of other code, which would train another model."""
    if request["code"] == code_digest():
        return answer_to(base64.b64decode(request["work"]), pipe, lambda error: _told(error, request["cluster"]))
    msg = (
        f"CTR_RETRAIN_WORKERS: expected the code {request['code']} on each machine, received {code_digest()} on "
        f"{os.uname().nodename}. Install the same version on all."
    )
    return pickle.dumps((True, UsageError(msg)))


def _told(error: Exception, cluster: Mapping[str, Any]) -> Exception:
    """Return what an error says of another machine, or of this one."""
    return told_of_fault(told_of_lost_machine(error, cluster))


@contextlib.contextmanager
def joining() -> Iterator[None]:
    """End this process where the machines don't find each other in time: what waits for them can't be interrupted."""
    cluster = json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"]
    # TensorFlow itself would wait for an hour.
    timer = Timer(JOIN_SECONDS, _give_up, args=(cluster,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_up(cluster: list[str]) -> None:
    """Say which addresses must be reachable, and end."""
    sys.stderr.write(
        f"CTR_RETRAIN_WORKERS: expected {', '.join(cluster)} to reach each other within {JOIN_SECONDS} s; "
        "look at names, ports and firewalls\n"
    )
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
