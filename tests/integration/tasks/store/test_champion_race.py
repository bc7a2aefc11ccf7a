"""Rules of promotions by several processes at once: none is lost, none is half done."""

import multiprocessing

from ctr_retrain.models.errors import BusyError
from ctr_retrain.tasks.store.champion import read_champions, take_over
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.unit.tasks.store.test_champion import tenure


def promote(root, version, barrier, results):
    barrier.wait()
    try:
        results.put((version, take_over(LocalStore(root), tenure(version, "2026-03-11", "2026-03-07"), met=None)))
    except BusyError:
        results.put((version, "busy"))


def test_of_racing_promotions_none_is_lost_and_none_is_half_done(store):
    """Of four processes that were judged when there was no champion one takes over, and the others are told of it."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    racers = [context.Process(target=promote, args=(store._root, v, barrier, results)) for v in "abcd"]
    for racer in racers:
        racer.start()
    outcomes = dict(results.get() for _ in racers)
    for racer in racers:
        racer.join()
    winners = {version for version, outcome in outcomes.items() if outcome is None}
    assert len(winners) == 1
    assert {t.version for t in read_champions(store).tenures} == winners
