"""A report that is killed at any step: the next one tells what it did not, and nobody hears of two things for one."""

import os
import signal as signals
from pathlib import Path

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.alerts import delivery as delivering
from ctr_retrain.tasks.alerts import spool as spooling
from ctr_retrain.tasks.alerts.delivery import ATTEMPTS
from ctr_retrain.tasks.alerts.incident_refs import load_incidents
from ctr_retrain.tasks.alerts.outbox import load_outbox
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.alert_receivers import Webhook
from tests.support.counts import draws
from tests.support.deliveries import delivery_to, noticed, report, webhook
from tests.support.forked import Forked

STEPS = 24  # more than any report has: each swap of a ref, sending and removal is one before and one after it
WAYS = ("into the root", "into the spool", "out of the spool")


class Steps:
    """Kills its process without a trace at one step."""

    def __init__(self, last):
        self._left = last

    def step(self):
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signals.SIGKILL)

    def around(self, work):
        def done(*arguments, **named):
            self.step()
            result = work(*arguments, **named)
            self.step()
            return result

        return done


class BrokenStore(LocalStore):
    """A root whose disk has failed."""

    def swap_ref(self, *_):
        msg = "the disk is full"
        raise StorageError(msg)


def report_until(root, folder, url, last, way):
    """Report, and be killed at a step."""
    steps = Steps(last)
    store = (BrokenStore if way == "into the spool" else LocalStore)(root)
    LocalStore.swap_ref = steps.around(LocalStore.swap_ref)
    delivering.send_message = steps.around(delivering.send_message)
    spooling.rmtree = steps.around(spooling.rmtree)
    report(store, delivery_to(folder, webhook(url)), noticed(), hours=1)


def start_report(store, folder, receiver, last, way):
    """A report in a process of its own, which is to be killed at a step."""
    if way == "out of the spool":  # where a message waits that nobody took
        receiver.refusals = ATTEMPTS
        report(BrokenStore(Path(store.root)), delivery_to(folder, webhook(receiver.url)), noticed())
    return Forked(report_until, Path(store.root), folder, receiver.url, last, way).go()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("last", range(0, STEPS, draws(3, 1)))
def test_a_report_killed_at_any_step_is_told_by_the_next_run_at_least_once_and_under_one_name(
    store, tmp_path, last, way
):
    with Webhook() as receiver:
        process = start_report(store, tmp_path, receiver, last, way)
        process.wait_for("the end")
        died = process.kill() is not None
        for hours in (2, 3):
            report(store, delivery_to(tmp_path, webhook(receiver.url)), noticed(), hours=hours)
        assert len(set(receiver.ids)) == 1
        assert len(receiver.received) <= (2 if died else 1)
        assert load_outbox(store).pending == ()
        assert [incident.kind for incident in load_incidents(store).open] == ["ratio_changed"]
        assert not [spool for spool in (tmp_path / "spool").glob("*") if any(spool.rglob("*.json"))]


@pytest.mark.parametrize("way", WAYS)
def test_no_report_has_more_steps_than_are_tried(store, tmp_path, way):
    with Webhook() as receiver:
        start_report(store, tmp_path, receiver, STEPS, way).answer()
        assert len(receiver.received) == 1
