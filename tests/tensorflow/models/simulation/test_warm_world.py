"""What a warm start is for: the log loss of a cold one, by a fraction of its rows, while tastes drift.

Tried with the worlds 1 to 6: the warm model, after three days of 10 % of the window's rows each, was 0.0020 below to
0.0028 above the cold one, 0.0001 above it in the mean; the stale one was 0.0018 above it in the mean. With standardised
numbers the warm model was 0.0008 below the cold one: pieces of numbers are learnt less well from one day's rows.
"""

import numpy as np

from tests.support.counts import draws
from tests.support.warm_world import JUDGED_DAYS, best_log_loss, chain, days_of, drifting_world, fitted, log_loss

WINDOW_DAYS, STEPS, ROWS_PER_DAY = 10, 3, 10_000


def models(seed):
    """Above the best possible log loss: a stale, a cold and a warm model; and the rows of the last two."""
    days = days_of(drifting_world(seed, ROWS_PER_DAY), WINDOW_DAYS + STEPS + JUDGED_DAYS)
    judged = days[-JUDGED_DAYS:]
    window = days[STEPS:-JUDGED_DAYS]
    stale, source_model, _ = fitted(days[:WINDOW_DAYS], window)
    cold, _, cold_rows = fitted(window, window)
    warm, warm_rows = chain(days, WINDOW_DAYS, STEPS, source_model)
    best = best_log_loss(judged)
    return *(log_loss(model, judged) - best for model in (stale, cold, warm)), cold_rows, warm_rows


def test_a_warm_model_reaches_the_cold_ones_log_loss_with_less_than_a_third_of_its_rows():
    found = np.array([models(seed) for seed in draws([2], range(1, 7))])
    stale, cold, warm, cold_rows, warm_rows = found.mean(axis=0)
    assert warm_rows < cold_rows / 3
    assert warm <= cold + 0.0005
    assert warm < stale
