"""A Dask scheduler that somebody started by hand, with two workers of one thread each."""

import contextlib
import subprocess
import sys

from tests.support.repository import REPOSITORY
from tests.support.small_world import clean_environment

PROGRAM = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@contextlib.contextmanager
def scheduler_elsewhere():
    """Its address, while this lasts."""
    ours = {**clean_environment(), "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=ours, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate()
