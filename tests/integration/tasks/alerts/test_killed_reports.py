"""A report that is killed at any step: the next one tells what it did not, and nobody hears of two things for one."""

import os
import signal as signals
from pathlib import Path

import pytest

from ctr_retrain.tasks.alerts import delivery as delivering
from ctr_retrain.tasks.alerts.outbox import load_outbox
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.alert_receivers import Webhook
from tests.support.deliveries import delivery_to, noticed, report, webhook
from tests.support.forked import Forked

STEPS = 20  # more than a report has: each swap of a ref and each sending is one before and one after it


class Steps:
    """Kills its process without a trace at one step."""

    def __init__(self, last):
        self._left = last

    def step(self):
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signals.SIGKILL)

    def around(self, work):
        def done(*arguments):
            self.step()
            result = work(*arguments)
            self.step()
            return result

        return done


class SteppedStore(LocalStore):
    """A store whose swaps are steps."""

    steps = None

    def swap_ref(self, *arguments):
        return self.steps.around(super().swap_ref)(*arguments)


def report_until(root, folder, url, last):
    """Report, and be killed at a step."""
    store, steps = SteppedStore(root), Steps(last)
    store.steps = steps
    delivering.send_message = steps.around(delivering.send_message)
    report(store, delivery_to(folder, webhook(url)), noticed())


@pytest.mark.parametrize("last", range(STEPS))
def test_a_report_killed_at_any_step_is_told_by_the_next_run_at_least_once_and_under_one_name(store, tmp_path, last):
    with Webhook() as receiver:
        process = Forked(report_until, Path(store.root), tmp_path, receiver.url, last).go()
        process.wait_for("the end")
        died = process.kill() is not None
        for hours in (1, 2):
            report(store, delivery_to(tmp_path, webhook(receiver.url)), noticed(), hours=hours)
        assert len(set(receiver.ids)) == 1
        assert len(receiver.received) <= (2 if died else 1)
        assert load_outbox(store).pending == ()


def test_a_report_has_fewer_steps_than_are_tried(store, tmp_path):
    with Webhook() as receiver:
        process = Forked(report_until, Path(store.root), tmp_path, receiver.url, STEPS - 1).go()
        process.answer()
        assert len(receiver.received) == 1
