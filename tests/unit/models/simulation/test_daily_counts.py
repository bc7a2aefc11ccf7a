"""Rules of daily counts: they follow the law of the simulated world's rows."""

from datetime import date

import numpy as np
import pyarrow.compute as pc
import pytest

from ctr_retrain.models.simulation.count_faults import FAULTS, plant
from ctr_retrain.models.simulation.daily_counts import DEVICE_VALUES, Liveliness, channel_laws, draw_counts, stretch
from ctr_retrain.models.simulation.world import World, simulate_day
from tests.support.counts import draws

FIRST = date(2026, 3, 2)
ROWS = 20_000
# High ratios, so that few days tell much.
WORLD = World(seed=5, rows_per_day=ROWS, ad_ctr=0.1, push_ctr=0.1)


@pytest.fixture(scope="module")
def days():
    """Days that are a week apart from one another but for one, so that weekday and age both vary."""
    return [stretch(FIRST, 40)[index] for index in range(0, 40, draws(5, 1))]


@pytest.fixture(scope="module")
def laws(days):
    return channel_laws(WORLD, days)


def rows_of_world(day):
    """Channel, campaign, device, and whether a click had landed by the day's end, row by row."""
    simulated = simulate_day(WORLD, day)
    clicks = simulated.outcomes.filter(pc.equal(simulated.outcomes["kind"], "click"))
    landed = clicks.filter(pc.less(clicks["ts"], np.datetime64(day, "us") + np.timedelta64(1, "D")))
    impressions = simulated.impressions
    seen = pc.is_in(impressions["event_id"], landed["event_id"].combine_chunks())
    return impressions, seen.to_numpy()


@pytest.fixture(scope="module")
def counted(days, laws):
    """Rows and positives of the world itself, (days, campaigns, devices) by channel, in the laws' order."""
    result = {}
    parts = [rows_of_world(day) for day in days]
    for channel, law in laws.items():
        place = {name: index for index, name in enumerate(law.campaigns)}
        rows, positives = np.zeros((2, *law.share.shape))
        for index, (table, seen) in enumerate(parts):
            own = pc.equal(table["channel"], channel).to_numpy()
            campaign = np.array([place[name] for name in table["campaign_id"].to_pylist()])[own]
            device = np.array([DEVICE_VALUES.index(name or "unknown") for name in table["device"].to_pylist()])[own]
            np.add.at(rows[index], (campaign, device), 1)
            np.add.at(positives[index], (campaign, device), seen[own])
        result[channel] = rows, positives
    return result


def assert_equal_in_mean(received, expected, variance):
    """Sums that differ by chance alone: none by 4.5 standard errors, all together by no more than usual."""
    errors = (received - expected) / np.sqrt(variance)
    assert np.abs(errors).max() < 4.5
    assert (errors**2).mean() == pytest.approx(1, abs=6 * np.sqrt(2 / errors.size))


@pytest.mark.parametrize("channel", ["ad", "push"])
@pytest.mark.parametrize(
    "axes", [(1, 2), (0, 2), (0, 1)], ids=["days and weekdays", "campaigns as they age", "devices"]
)
def test_clicks_are_those_of_the_worlds_rows(laws, counted, channel, axes):
    law, (rows, positives) = laws[channel], counted[channel]
    expected = (rows * law.probability).sum(axis=axes)
    variance = (rows * law.probability * (1 - law.probability)).sum(axis=axes)
    enough = expected >= 20
    assert_equal_in_mean(positives.sum(axis=axes)[enough], expected[enough], variance[enough])


@pytest.mark.parametrize("channel", ["ad", "push"])
@pytest.mark.parametrize("axes", [(0, 2), (0, 1)], ids=["campaigns", "devices"])
def test_impressions_are_shared_out_as_the_worlds_rows_are(laws, counted, channel, axes):
    law, (rows, _) = laws[channel], counted[channel]
    totals = rows.sum(axis=(1, 2), keepdims=True)
    expected = (totals * law.share).sum(axis=axes)
    enough = expected >= 20
    assert_equal_in_mean(rows.sum(axis=axes)[enough], expected[enough], expected[enough])


def test_old_campaigns_are_clicked_less_than_young_ones(laws):
    law = laws["ad"]
    there = law.share > 0
    first, last = there.any(axis=2).argmax(axis=0), len(law.days) - 1
    lasting = np.flatnonzero(there[first, np.arange(len(first))].any(axis=1) & there[last].any(axis=1) & (first == 0))
    if lasting.size:  # the tiring of a campaign alone, whatever the weekday adds
        fall = law.probability[last, lasting, 0] / law.probability[0, lasting, 0]
        assert (fall < 1.05).all()


def test_drawn_counts_have_the_means_of_their_law(laws):
    law = laws["ad"]
    rows, positives = draw_counts(law, ROWS, None, np.random.default_rng(1))
    expected = (rows * law.probability).sum(axis=(1, 2))
    assert_equal_in_mean(positives.sum(axis=(1, 2)), expected, expected)
    assert_equal_in_mean(rows.sum(axis=(1, 2)), ROWS * law.volume, ROWS * law.volume)


def test_lively_days_have_growth_and_holidays_with_fewer_rows_and_a_better_ratio():
    days = stretch(date(2026, 1, 1), 120)
    law = channel_laws(WORLD, days)["ad"]
    lively = Liveliness(day_sd=0, slow_sd=0, volume_sd=0, decline=0, growth=0.01, holidays=(60,))
    rows, positives = draw_counts(law, 10**6, lively, np.random.default_rng(2))
    volume = rows.sum(axis=(1, 2)) / (10**6 * law.volume)
    assert volume[119] == pytest.approx(1.01**119, rel=0.02)
    assert volume[60] / volume[59] == pytest.approx(0.7 * 1.01, rel=0.02)
    ratio = positives.sum(axis=(1, 2)) / (rows * law.probability).sum(axis=(1, 2))
    assert ratio[60] == pytest.approx(np.exp(0.2), rel=0.05)
    assert ratio[59] == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_begins_and_ends_on_its_days_and_leaves_counts_that_can_be(fault):
    rng = np.random.default_rng(3)
    rows = rng.poisson(500, (6, 5, 4))
    positives = rng.binomial(rows, 0.1)
    faulty_rows, faulty_positives = plant(fault, rows, positives, 2, 4, rng)
    assert ((faulty_positives >= 0) & (faulty_positives <= faulty_rows)).all()
    for day in range(6):
        same = (faulty_rows[day] == rows[day]).all() and (faulty_positives[day] == positives[day]).all()
        assert same == (day not in {2, 3})
