"""Rules of the drift detector, on counted days of the simulated world: what it finds, names, and leaves alone."""

import time
from dataclasses import replace

import numpy as np
import pytest

from ctr_retrain.models.drift.channel_watch import ChannelWatch, Rules
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.drift.watched_days import watch_channel
from ctr_retrain.models.levels.drift_days import ChannelSeries, SliceTable
from ctr_retrain.models.levels.evidence import Budget
from ctr_retrain.models.simulation.count_faults import FAULTS, CountFault, lose_clicks, plant
from ctr_retrain.models.simulation.daily_counts import channel_laws, draw_counts, stretch
from ctr_retrain.models.simulation.world import World
from tests.support.counted_days import FIRST_DAY, causes, series_of, subject_of

DAYS, FIRST, LAST = 120, 70, 86  # of the stretch, and of a fault, the second excluded
END = 104  # day up to which faults are watched: a fault that lasts has become normal by then
QUIET = FIRST - 12  # days before any fault: the same in each series, and so watched once
RULES = Rules(budget_of(4), min_effect=0.2, channels=2, new_normal_days=28)
ROWS = 200_000
BY_NAME = {fault.name: fault for fault in FAULTS}
STEPS = [fault for fault in FAULTS if not fault.name.startswith("slide")]


@pytest.fixture(scope="module")
def law():
    return channel_laws(World(seed=3), stretch(FIRST_DAY, DAYS))["ad"]


@pytest.fixture(scope="module")
def counts(law):
    return draw_counts(law, ROWS, None, np.random.default_rng(1))


def planted(law, counts, *faults):
    """The series with faults, each (fault, first day, day after the last), and the first one's largest campaign."""
    rows, positives = counts
    rng = np.random.default_rng(2)
    largest = law.campaigns[int(rows[faults[0][1]].sum(axis=1).argmax())] if faults else None
    for fault, first, last in faults:
        rows, positives = plant(fault, rows, positives, first, last, rng)
    return series_of("ad", law.days, law.campaigns, rows, positives), largest


@pytest.fixture(scope="module")
def quiet(law, counts):
    """The channel watched through its quiet days, which find nothing."""
    series, _ = planted(law, counts)
    watch = ChannelWatch(series, RULES)
    assert not any(watch.step(day) for day in range(QUIET))
    return watch


@pytest.fixture
def findings_of(quiet):
    """Each day's findings in a series that is quiet at first, up to a day."""

    def run(series, end=END):
        for given, usual in zip((series, *series.tables), (quiet.series, *quiet.series.tables), strict=True):
            assert np.array_equal(given.rows[:QUIET], usual.rows[:QUIET])
            assert np.array_equal(given.positives[:QUIET], usual.positives[:QUIET])
        watch = quiet.copy(series)
        return [[]] * QUIET + [watch.step(day) for day in range(QUIET, end)]

    return run


@pytest.fixture
def found(findings_of):
    """(kind, slice) of each finding, day by day."""

    def run(series, end=END):
        days = findings_of(series, end)
        return [[(each.fault.kind, subject_of(series, each.fault)) for each in day] for day in days]

    return run


def test_days_as_usual_raise_nothing_and_a_replay_of_four_months_takes_a_moment(law, counts):
    series, _ = planted(law, counts)
    began = time.process_time()
    days = watch_channel(series, RULES)
    assert time.process_time() - began < 1
    assert not any(day.findings for day in days)


@pytest.mark.parametrize("fault", STEPS, ids=lambda fault: fault.name)
def test_one_fault_is_one_finding_of_one_cause_from_its_first_day_to_its_last(law, counts, fault, found):
    series, largest = planted(law, counts, (fault, FIRST, LAST))
    kinds, subject = causes(largest)[fault.name]
    days = found(series)
    alive = series.tables[0].rows[:, series.tables[0].names.index(largest)] > 0
    while_it_lasts = [day for day in range(FIRST, LAST) if "campaign" not in subject or alive[day]]
    assert {len(days[day]) for day in while_it_lasts} == {1}
    assert {(days[day][0][0] in kinds, days[day][0][1]) for day in while_it_lasts} == {(True, subject)}
    assert not any(days[:FIRST])
    assert not any(days[LAST + 3 :])


def test_a_slide_is_found_and_goes_on_to_be_one_fault(law, counts, found):
    series, _ = planted(law, counts, (BY_NAME["slide of 3 % a day"], FIRST, DAYS))
    days = [[kind for kind, subject in day if not subject] for day in found(series, FIRST + 24)]
    first = next(day for day, each in enumerate(days) if each)
    assert FIRST < first < FIRST + 10
    assert {tuple(each) for each in days[first : first + 14]} == {("slide",)}


def test_a_fault_that_is_over_hides_no_later_one(law, counts, found):
    earlier = (CountFault("all clicks of a day", lose_clicks(1.0)), FIRST - 12, FIRST - 8)
    series, _ = planted(law, counts, (BY_NAME["android -40 %"], FIRST, LAST), earlier)
    days = found(series, FIRST + 1)
    assert all(days[day] for day in range(FIRST - 12, FIRST - 8))
    assert days[FIRST - 1] == []
    assert days[FIRST] == [("logger_down", "device=android")]


SMALL = 12_000  # impressions a day of the world: android has some hundred clicks in the ads, and ten in the push


@pytest.fixture(scope="module")
def small_worlds():
    """The ads of small worlds that are one up to FIRST, from there on without two fifths of android's clicks.

    With each, its days from FIRST on.
    """
    days = stretch(FIRST_DAY, FIRST + 12)
    law = channel_laws(World(seed=5), days)["ad"]
    before = draw_counts(law, SMALL, None, np.random.default_rng(0))

    def drawn(seed):
        rng = np.random.default_rng(seed)
        counts = draw_counts(law, SMALL, None, rng)
        counts = [np.concatenate([early[:FIRST], late[FIRST:]]) for early, late in zip(before, counts, strict=True)]
        return series_of("ad", days, law.campaigns, *plant(BY_NAME["android -40 %"], *counts, FIRST, len(days), rng))

    watch = ChannelWatch(drawn(0), RULES)
    for day in range(FIRST):
        watch.step(day)

    def watched(ads):
        later = watch.copy(ads)
        return [later.step(day) for day in range(FIRST, len(days))]

    return [(ads, watched(ads)) for ads in map(drawn, range(6))]


def named(days):
    """The faults that name a device's logger."""
    return [each.fault for day in days for each in day if each.fault.kind == "logger_down"]


def test_of_few_clicks_a_device_is_named_by_its_days_together_and_dated_to_the_first(small_worlds):
    ends = [named(days)[-1] for _, days in small_worlds]
    assert all(subject_of(ads, fault) == "device=android" for (ads, _), fault in zip(small_worlds, ends, strict=True))
    assert sorted(abs(fault.since - FIRST) for fault in ends)[:5] <= [2] * 5  # one of six may begin with bad luck
    assert sorted(fault.opened - FIRST for fault in ends)[4] <= 5
    assert any(fault.instead_of for fault in ends)


def test_two_faults_at_once_are_two_findings(law, counts, found):
    faults = [(BY_NAME["android -40 %"], FIRST, LAST), (BY_NAME["delivered twice"], FIRST, LAST)]
    series, _ = planted(law, counts, *faults)
    assert set(found(series, FIRST + 1)[FIRST]) == {("logger_down", "device=android"), ("delivered_twice", "")}


def test_a_fault_that_lasts_is_announced_as_the_new_normal_and_then_quiet(law, counts, findings_of):
    series, _ = planted(law, counts, (BY_NAME["channel -40 %"], FIRST, DAYS))
    findings = findings_of(series)
    announced = [day for day, each in enumerate(findings) if any(finding.new_normal for finding in each)]
    assert announced == [FIRST + RULES.new_normal_days]
    assert not any(findings[announced[0] + 1 :])


def test_a_finding_says_how_much_it_explains(law, counts, findings_of):
    series, _ = planted(law, counts, (BY_NAME["android -40 %"], FIRST, LAST))
    (finding,) = findings_of(series, FIRST + 1)[FIRST]
    explained = finding.explained
    assert explained.share > 0.6
    assert explained.positives / explained.expected_positives == pytest.approx(0.6, abs=0.1)
    assert explained.channel_ratio < explained.expected_ratio


def test_a_day_without_its_outcomes_raises_nothing_and_teaches_no_ratio(law, counts, found):
    series, _ = planted(law, counts, (BY_NAME["channel -40 %"], FIRST, FIRST + 1))
    series.complete[FIRST] = False
    assert not any(found(series)[FIRST:])


def test_a_day_without_its_outcomes_ends_no_fault_and_makes_none_worse(law, counts, found):
    fault = BY_NAME["android -40 %"]
    series, _ = planted(law, counts, (fault, FIRST, LAST))
    before = found(series, FIRST + 5)
    series.positives[FIRST + 5] = 0
    for table in series.tables:
        table.positives[FIRST + 5] = 0
    series.complete[FIRST + 5] = False
    days = found(series, FIRST + 7)
    assert days[: FIRST + 5] == before
    assert days[FIRST + 5] == days[FIRST + 4] == days[FIRST + 6]


def test_a_day_without_its_outcomes_shows_its_volume(law, counts, found):
    series, _ = planted(law, counts, (BY_NAME["half of the files"], FIRST, FIRST + 1))
    series.complete[FIRST] = False
    assert found(series, FIRST + 1)[FIRST] != []


def few_campaigns(begins, dies, ended):
    """Sixty even days of ten lasting campaigns, one more with eight clicks a day, and some that ended on day 20."""
    days, lasting = 60, 10
    rows = np.zeros((days, lasting + 1 + ended))
    rows[:, :lasting], rows[begins:, lasting], rows[:20, lasting + 1 :] = 1_000, 400, 40
    positives = 0.02 * rows
    positives[dies:, lasting] = 0
    table = SliceTable("campaign_id", tuple(f"c{number}" for number in range(rows.shape[1])), rows, positives)
    whole, complete = np.full(days, 24.0), np.ones(days, bool)
    return ChannelSeries("ad", stretch(FIRST_DAY, days), rows.sum(1), positives.sum(1), whole, (table,), complete)


def test_a_small_young_campaign_that_dies_is_found_within_a_week():
    series, dies = few_campaigns(begins=30, dies=48, ended=0), 48
    watch = ChannelWatch(series, RULES)
    found = [(day, each.fault.kind, subject_of(series, each.fault)) for day in range(60) for each in watch.step(day)]
    assert found[0][1:] == ("campaign_dead", "campaign_id=c10")
    assert dies < found[0][0] < dies + 7


def test_campaigns_that_have_ended_take_nothing_of_the_budget_of_running_sums():
    asked = []

    class Asked(Budget):
        def running_sum(self, family, series):
            asked.append(series)
            return super().running_sum(family, series)

    budget = Asked(4, RULES.budget.shares)
    watch = ChannelWatch(few_campaigns(begins=0, dies=60, ended=100), replace(RULES, budget=budget))
    for day in range(40):
        watch.step(day)
    assert asked[-1] == 2 * RULES.channels * 11  # two ways, one column, the campaigns that are there
