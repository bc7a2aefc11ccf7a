import numpy as np
import pytest

from ctr_retrain.models.judging.cells import Interval
from ctr_retrain.models.judging.changed_decisions import (
    ChangedDecisions,
    count_changed,
    exact_limits,
    find_changed_decisions,
    poisson_limits,
    widen,
)
from ctr_retrain.models.recipe.channel_section import Cost
from tests.support.counts import draws

COST = Cost(true_positive=-0.98, false_positive=0.02)  # threshold 0.02


def test_limits_of_a_count_are_garwoods():
    # Garwood 1936: (0, 3.689) for none, (0.619, 8.767) for three at 95 %.
    assert poisson_limits(0, 100, 0.95) == pytest.approx((0, 3.6889), abs=1e-4)
    assert poisson_limits(3, 100, 0.95) == pytest.approx((0.6187, 8.7673), abs=1e-4)


def test_no_more_positives_than_rows_are_possible():
    assert poisson_limits(0, 2, 0.95) == (0, 2)


def test_flips_are_found_by_channel_and_direction_with_their_price():
    label = np.array([1, 0, 0, 1, 0])
    challenger = np.array([0.5, 0.5, 0.01, 0.01, 0.5])
    baseline = np.array([0.01, 0.01, 0.5, 0.5, 0.5])
    sends_more, sends_less = find_changed_decisions(label, challenger, baseline, np.array(["ad"] * 5), {"ad": COST})
    assert sends_more == ChangedDecisions(rows=2, positives=1, if_positive=-0.98, if_negative=0.02)
    assert sends_less == ChangedDecisions(rows=2, positives=1, if_positive=0.98, if_negative=-0.02)
    assert count_changed([sends_more, sends_less]) == (4, 2)
    assert sends_more.cost_delta(1) + sends_less.cost_delta(1) == pytest.approx(0)


def test_a_channel_without_a_cost_is_refused():
    with pytest.raises(ValueError, match="expected one of"):
        find_changed_decisions(np.array([0]), np.array([0.5]), np.array([0.5]), np.array(["tv"]), {"ad": COST})


def test_saving_52_impressions_without_a_click_among_them_proves_nothing():
    """The bootstrap alone is sure of a gain: no draw holds a click that wasn't seen."""
    sends_less = ChangedDecisions(rows=52, positives=0, if_positive=0.98, if_negative=-0.02)
    bootstrap = Interval(-0.1, -0.2, -0.05)
    widened = widen(bootstrap, [sends_less], 10_000, 0.95)
    assert widened.estimate == bootstrap.estimate
    assert widened.low == bootstrap.low
    # 3.689 clicks at 0.98 each, 48.311 impressions at -0.02 each, over 10,000 rows.
    assert widened.high == pytest.approx(1000 * (3.6889 * 0.98 - 48.3111 * 0.02) / 10_000, abs=1e-4)


def test_equal_decisions_leave_the_interval_as_it_is():
    same = find_changed_decisions(
        np.array([0, 1]), np.array([0.5, 0.5]), np.array([0.4, 0.4]), np.array(["ad"] * 2), {"ad": COST}
    )
    assert widen(Interval(0, -0.5, 0.5), same, 2, 0.95) == Interval(0, -0.5, 0.5)


def test_exact_limits_cover_the_truth_where_positives_are_rare():
    """Worlds with 0.3 to 8 positives expected among flips of both directions: misses stay within 5 %."""
    rng = np.random.default_rng(11)
    misses = []
    for _ in range(draws(2000, 20_000)):
        more, less = rng.uniform(0.3, 8, 2)
        drawn = [
            ChangedDecisions(2000, int(rng.poisson(more)), -0.98, 0.02),
            ChangedDecisions(2000, int(rng.poisson(less)), 0.98, -0.02),
        ]
        truth = sum(flip.cost_delta(mean) for flip, mean in zip(drawn, (more, less), strict=True))
        low, high = exact_limits(drawn, 0.95)
        misses.append(not low <= truth <= high)
    assert np.mean(misses) < 0.05
