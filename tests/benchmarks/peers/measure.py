"""Speed and memory of one run, in any of the systems' environments: the standard library alone."""

import json
import sys
import threading
import time
from pathlib import Path

WARM_UP_STEPS = 16  # in which graphs are traced and memory is first touched


class Memory:
    """The process's memory at its peak: its own (RssAnon), read every 20 ms while it runs, and all that is resident."""

    def __enter__(self):
        self.peak_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        # ru_maxrss would count what the process had that started this one
        self.peak_rss_mb = _status("VmHWM")

    def _watch(self):
        while not self._done.wait(0.02):
            self.peak_mb = max(self.peak_mb, _status("RssAnon"))


def _status(name):
    """Megabytes of /proc/self/status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


class Speed:
    """Rows a second from the end of the warm-up to the last step; call `step` after each with the rows done so far."""

    def __init__(self):
        self.steps, self._first, self._last = 0, None, None

    def step(self, rows, steps=1):
        """`rows` done in all, after `steps` more."""
        self.steps += steps
        self._last = (time.perf_counter(), rows)
        if self.steps >= WARM_UP_STEPS and self._first is None:
            self._first = self._last

    @property
    def rows_per_second(self):
        """Of the steps after the warm-up."""
        (start, before), (end, after) = self._first, self._last
        return (after - before) / (end - start)


def answer(speed, memory):
    """Print what a run found, as JSON, as the last line of stdout."""
    found = {
        "rows_per_second": speed.rows_per_second,
        "peak_rss_mb": memory.peak_rss_mb,
        "peak_anon_mb": memory.peak_mb,
    }
    sys.stdout.write("\n" + json.dumps(found))
