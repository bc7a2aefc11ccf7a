"""Rules of the campaigns that a ratio is made of: another mix is no change, and the young are expected to be better."""

import numpy as np
import pytest

from ctr_retrain.models.levels.campaign_mix import CampaignAges, CampaignDay
from ctr_retrain.models.levels.evidence import log_odds

OWN = np.log(np.array([0.01, 0.04]) / np.array([0.99, 0.96]))


def day_of(rows, factor=1.0, variance=(0.01, 0.01)):
    """A day on which each campaign has its own ratio, times a factor."""
    rows = np.array(rows, float)
    positives = rows * np.array([0.01, 0.04]) * factor
    return CampaignDay(rows, positives, OWN, np.array(variance))


def change(day):
    """The change that is common to a day's campaigns."""
    whole = day.whole()
    return float(log_odds(np.array(whole.positives), np.array(whole.rows))) - whole.expected


@pytest.mark.parametrize("rows", [(50_000, 50_000), (90_000, 10_000), (0, 30_000)])
def test_another_mix_is_expected_and_no_change(rows):
    day = day_of(rows)
    assert day.expected() == pytest.approx(float(log_odds(day.positives.sum(), day.rows.sum())), abs=0.01)
    assert change(day) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("factor", [0.6, 1.3])
def test_what_changes_all_campaigns_is_the_change_whatever_their_mix(factor):
    assert change(day_of((90_000, 10_000), factor)) == pytest.approx(np.log(factor), abs=0.03)


def test_a_campaign_that_nobody_knows_says_little_of_the_others():
    rows, positives = np.array([50_000.0, 50_000.0]), np.array([500.0, 4000.0])  # the second is twice what was expected
    known = CampaignDay(rows, positives, OWN, np.array([0.01, 0.01]))
    unknown = CampaignDay(rows, positives, OWN, np.array([0.01, 1.0]))
    assert change(known) > 0.3
    assert abs(change(unknown)) < 0.05
    assert unknown.whole().rows < known.whole().rows


def test_a_campaign_is_held_against_the_others_and_not_against_itself():
    rows, positives = np.array([50_000.0, 50_000.0]), np.array([500.0, 1000.0])  # the second lost half
    others = CampaignDay(rows, positives, OWN, np.array([0.01, 0.01])).others()
    assert others == pytest.approx([-np.log(2), 0.0], abs=0.05)


def test_campaigns_that_tire_are_expected_to():
    campaigns, days = 40, 80
    ages = CampaignAges(campaigns)
    for day in range(days):
        age = day - 2 * np.arange(campaigns)
        rows = np.where((age >= 0) & (age < 20), 10_000.0, 0.0)
        ages.meet(rows, day)
        positives = rows * 0.02 * np.exp(-age / 12)
        ages.learn(rows, positives, positives.sum() / rows.sum())
    effects = ages.effects()[(age >= 0) & (age < 20)][::-1]  # the youngest first
    assert effects[0] - effects[-1] == pytest.approx(18 / 12, abs=0.3)
    assert (np.diff(effects) <= 0).all()


def test_of_campaigns_that_were_there_from_the_start_no_ages_are_learnt():
    ages = CampaignAges(2)
    for day in range(4):
        rows = np.array([1000.0, 1000.0 * (day > 2)])
        ages.meet(rows, day)
        ages.learn(rows, rows * 0.02, 0.03)
    assert ages.expected.sum() == pytest.approx(1000 * 0.03)
    assert ages.effects()[1] < 0
