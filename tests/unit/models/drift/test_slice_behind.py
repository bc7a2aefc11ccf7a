"""Rules of the slice behind a change of its channel: sure by itself, or sooner where another channel shows it too."""

import numpy as np

from ctr_retrain.models.drift.faults import Fault
from ctr_retrain.models.drift.slice_behind import slice_behind
from tests.unit.models.drift.test_finding_signals import ROWS, USUAL_DAYS, day, last_day, usual_watch

DEVICES = tuple(ROWS)


def behind(kept, rows, suspects=(), effect=-0.3):
    """The slice behind a change of the channel on one day after thirty usual ones, of a share of the usual rows."""
    series, _ = last_day(day(0, rows, kept), usual_rows=rows)
    met = usual_watch(rows).copy(series).meet(USUAL_DAYS)
    fault = Fault("ratio_changed", "ratio", effect, USUAL_DAYS, USUAL_DAYS)
    found = slice_behind(fault, met, [np.isin(DEVICES, suspects)])
    return found and (found.kind, DEVICES[found.value])


def test_a_plain_slice_is_the_cause():
    assert behind({"android": 0.3}, rows=1.0) == ("logger_down", "android")


def test_what_changed_all_slices_alike_has_none_behind_it():
    assert behind(dict.fromkeys(DEVICES, 0.6), rows=1.0, effect=-0.5) is None
    assert behind(dict.fromkeys(DEVICES, 0.6), rows=1.0, suspects=["android"], effect=-0.5) is None


def test_of_few_positives_it_is_believed_if_another_channel_shows_it():
    assert behind({"android": 0.6}, rows=0.2) is None
    assert behind({"android": 0.6}, rows=0.2, suspects=["android"]) == ("logger_down", "android")
    assert behind({"android": 0.6}, rows=0.2, suspects=["ios"]) is None


def test_a_slice_that_explains_little_of_the_change_is_not_behind_it():
    assert behind({"web": 0.2}, rows=1.0, effect=-0.2) == ("logger_down", "web")
    assert behind({"web": 0.2}, rows=1.0, effect=-1.0) is None
