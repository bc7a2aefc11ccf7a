"""Work for the process in which models live, to see what the flow gets of it."""

import errno
import logging
import os
import signal
import sys
import time
from pathlib import Path

from ctr_retrain.models.errors import UsageError


def double(progress_of, number):
    with progress_of("doubling", "rows") as progress:
        progress(1, 2)
        progress(2, 2)
    return 2 * number


def say(progress_of, text):
    logging.getLogger("ctr_retrain.tasks.train.fit_challenger").info("logged %s", text)
    sys.stderr.write(f"written {text}\n")
    print("printed", text)  # noqa: T201 - a library might
    return os.getpid()


def environment(progress_of, name):
    return os.environ.get(name)


def refuse(progress_of):
    raise UsageError("expected something else", what="details")


def stumble(progress_of):
    return {}["no such key"]


def find_no_room(progress_of):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def stop(progress_of):
    os.kill(os.getpid(), signal.SIGSTOP)


def die(progress_of, how):
    with progress_of("training on cpu", "rows") as progress:
        progress(120_000, 500_000)
        sys.stderr.write("something about a tensor\n")
        sys.stderr.flush()
        if isinstance(how, str):
            os.kill(os.getpid(), getattr(signal, how))
        os._exit(how)


def die_at_once(progress_of):
    os._exit(3)


class UnavailableError(Exception):
    """TensorFlow's error of this name, by which it tells of machines that it waits for."""


def lose(progress_of, words):
    msg = f"Graph execution error:\n\nCollective ops is aborted by: {words}\n\t [[{{{{node}}}}]]"
    raise UnavailableError(msg)


def write_environment(progress_of, path, *names):
    aside = Path(f"{path}.aside")
    aside.write_text("\n".join(os.environ[name] for name in names), encoding="utf-8")
    aside.rename(path)
    never_end(progress_of)


def wait_for(progress_of, path):
    while not Path(path).exists():
        time.sleep(0.02)


def never_end(progress_of):
    signal.pause()


def modules(progress_of):
    return sorted(sys.modules)
