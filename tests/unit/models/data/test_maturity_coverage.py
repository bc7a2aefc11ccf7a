"""Rule of corrected ratios: their 95 % intervals cover what a young day becomes, also where days differ in delay."""

import numpy as np
import pyarrow as pa
import pytest

from ctr_retrain.models.data.maturity import HOURS, correct_ratio, estimate_maturity
from ctr_retrain.models.simulation.traffic import HOURLY_VOLUME
from tests.support.counts import draws

ROWS = {"ad": 17_500, "push": 7_500}
RATIO = {"ad": 0.02, "push": 0.015}
WINDOW_HOURS = {"ad": 24, "push": 72}
FINAL = {"ad": 1, "push": 3}
# Of people who click, the share that does so at once and its mean delay in hours; then the mean of the others'.
DELAYS = {"ad": (0.8, 0.1, 7.0), "push": (0.45, 1.0, 16.0)}
MATURE_DAYS = 16


def clicks(rng, channel, slower):
    """Hours of a day's clicked impressions, and the days until each click landed."""
    volume = HOURLY_VOLUME[channel] / HOURLY_VOLUME[channel].sum()
    count = rng.binomial(ROWS[channel], RATIO[channel])
    hour = rng.choice(HOURS, count, p=volume)
    quick, soon, later = DELAYS[channel]
    mean = np.where(rng.random(count) < quick, soon, later * slower)
    within = -np.expm1(-WINDOW_HOURS[channel] / mean)
    delay = -mean * np.log1p(-rng.random(count) * within)
    return hour, np.minimum((hour + rng.random(count) + delay) // 24, FINAL[channel]).astype(int)


def table(channel, hour, age, as_of_age):
    """The arrivals of a day as of an age."""
    counts = np.zeros((HOURS, FINAL[channel] + 1), int)
    np.add.at(counts, (hour, age), 1)
    rows = [(h, a, int(n)) for (h, a), n in np.ndenumerate(counts) if n and a <= as_of_age]
    rows.append((0, None, ROWS[channel] - sum(n for _, _, n in rows)))
    hours, ages, numbers = (list(column) for column in zip(*rows, strict=True))
    more = {name: [value] * len(rows) for name, value in (("channel", channel), ("kind", "click"), ("days_late", 0))}
    return pa.table({**more, "hour": hours, "age_days": pa.array(ages, pa.int64()), "rows": numbers})


def covered(channel, delays, trials):
    """The share of young days whose interval holds the number of clicks that they will have."""
    hits = total = 0
    for trial in range(trials):
        rng = np.random.default_rng([trial, len(channel)])
        last = int(rng.integers(7))
        mature = [
            table(channel, *clicks(rng, channel, delays(rng, last - FINAL[channel] - back)), FINAL[channel])
            for back in range(MATURE_DAYS)
        ]
        curve = estimate_maturity(mature, channel, "click", FINAL[channel])
        for age in range(FINAL[channel]):
            hour, landed = clicks(rng, channel, delays(rng, last - age))
            young = correct_ratio(table(channel, hour, landed, age), curve, channel, "click", "2026-03-02", age)
            hits += abs(young.corrected * ROWS[channel] - len(hour)) <= 1.96 * young.standard_error * ROWS[channel]
            total += 1
    return hits / total


DIFFERING = {
    "plain": lambda rng, day: 1.0,
    "slow weekends": lambda rng, day: 1.6 if day % 7 >= 5 else 1.0,
    "any day": lambda rng, day: np.exp(rng.normal(0, 0.15)),
}


@pytest.mark.parametrize("days", DIFFERING)
@pytest.mark.parametrize("channel", ROWS)
def test_nine_of_ten_intervals_or_more_hold_what_the_day_becomes(channel, days):
    assert covered(channel, DIFFERING[days], draws(16, 700)) >= 0.9
