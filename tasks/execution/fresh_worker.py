"""The process in which `run_fresh` calls a function: `python -m …fresh_worker FOLDER MODULE [FILE FUNCTION ARGUMENT…]`.

The folder is for what libraries put aside, and goes with the process that started this one. What the function prints
goes to the file. Without a call on the command line, lines on stdin are calls, as JSON lists: each is forked from this
process, which has imported the module and TensorFlow, and a line on stdout gives its exit status.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from contextlib import suppress
from functools import partial
from importlib import import_module

from ctr_retrain.models.error_origins import is_machine_fault
from ctr_retrain.models.errors import CtrRetrainError
from ctr_retrain.tasks.execution.import_tensorflow import import_tensorflow
from ctr_retrain.tasks.execution.parents_end import end_with_parent

RAISED = 70  # exit status where the function raised: of any other the machine is to blame, or Python's installation
MACHINE_FAILED = 74  # where what it raised says that of itself


def main() -> None:
    """Make the call of the command line, or those of stdin until its other end is closed."""
    folder, module, *call = sys.argv[1:]
    last = partial(shutil.rmtree, folder, ignore_errors=True)
    end_with_parent(last=last)
    if call:
        sys.exit(_call(module, *call))
    with suppress(Exception):  # each call imports them again, and says what is wrong
        import_tensorflow()
        import_module(module)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            # Its own watch: threads don't come along.
            end_with_parent(last=last)
            os._exit(_call(module, *json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the protocol


def _call(module: str, file: str, name: str, *arguments: str) -> int:
    """Call the function with stdout and stderr in a file; return 0 where it returned, else what it raised comes to."""
    said = os.open(file, os.O_WRONLY | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    work = getattr(import_module(module), name)
    try:
        work(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, there is nobody else to tell
        # Of our own errors the message says all.
        sys.stderr.write(str(error) if isinstance(error, CtrRetrainError) else traceback.format_exc())
        return MACHINE_FAILED if is_machine_fault(error) else RAISED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    main()
