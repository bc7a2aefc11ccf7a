"""The process in which `run_fresh` calls a function: `python -m …fresh_worker MODULE [FILE FUNCTION ARGUMENT…]`.

What the function prints goes to the file. Without a call on the command line, lines on stdin are calls, as JSON lists:
each is forked from this process, which has imported the module and TensorFlow, and a line on stdout gives its exit
status.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module

from ctr_retrain.models.errors import CtrRetrainError
from ctr_retrain.tasks.execution.import_tensorflow import import_tensorflow


def main() -> None:
    """Make the call of the command line, or those of stdin until its other end is closed."""
    module, *call = sys.argv[1:]
    if call:
        sys.exit(_call(module, *call))
    with suppress(Exception):  # each call imports them again, and says what is wrong
        import_tensorflow()
        import_module(module)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_call(module, *json.loads(line)))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the protocol


def _call(module: str, file: str, name: str, *arguments: str) -> int:
    """Call the function with stdout and stderr in a file; return 0 where it returned and 1 where it raised."""
    said = os.open(file, os.O_WRONLY | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    try:
        getattr(import_module(module), name)(*arguments)
    except CtrRetrainError as error:  # its message says all
        sys.stderr.write(str(error))
    except Exception:  # noqa: BLE001 - whatever it is, there is nobody else to tell
        traceback.print_exc()
    else:
        return 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 1


if __name__ == "__main__":
    main()
