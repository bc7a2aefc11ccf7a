"""Years of nights at the gate: a changed recipe that is better or isn't, and chains of refreshes that may go downhill.

Nights are drawn as cells, as the ledger keeps them: campaigns and users come back from night to night, campaigns live
10 to 40 days, and half of each model's error stays. The rules are the gate's own. Costs are per 1,000 impressions.
"""

from dataclasses import dataclass, replace

import numpy as np

from ctr_retrain.models.gate.cost_rules import CHANGE_NIGHTS, describe_evidence
from ctr_retrain.models.gate.refresh_rules import refresh_checks
from ctr_retrain.models.gate.weighing import ANCHOR, PREDECESSOR, Evidence, step_of, weigh
from ctr_retrain.models.judging.cells import Cells
from ctr_retrain.models.judging.day_variance import PastEstimate, estimate_day_variance
from ctr_retrain.models.judging.judged_rows import COST_DELTA, champion_over, over
from ctr_retrain.models.ledger.pooled_nights import Night, pool
from ctr_retrain.models.recipe.gate_section import Gate

BUCKETS = 48
CHAMPION_COST = 8.2  # that the demonstration's champion gains per 1,000, of which shares are told
MARGIN = 0.5
GATE = Gate(max_cost_delta_per_1000=MARGIN, max_channel_cost_delta_per_1000=2.0)
FIRST_CHANGE = 1 / GATE.false_changes_per_year * 2  # the e-value that the first change of a year needs


RULES = ("each night anew", "ours")


@dataclass(frozen=True)
class Volume:
    """How far a night's difference is off, by rows, campaigns and users; standard deviations per 1,000."""

    name: str
    of_rows: float
    of_campaigns: float
    of_users: float


ROWS_DOMINATE = Volume("50,000 rows, rows dominate", 0.2, 0.3, 0.3)
ALL_MATTER = Volume("50,000 rows, campaigns and users matter", 0.15, 1.2, 1.0)


class Traffic:
    """Campaigns that come and go, users, and what two models differ by on either."""

    def __init__(self, rng, volume, nights):
        self._rng, self._volume = rng, volume
        start = np.repeat(np.arange(-40, nights), 1 + rng.poisson(1.4, nights + 40))
        self._start, self._end = start, start + rng.integers(10, 41, len(start))
        self._budget = rng.gamma(3.0, size=len(start))
        self._users = rng.gamma(2.0, size=BUCKETS)
        self._campaign, self._user = self._errors(len(start), 0.5), self._errors(BUCKETS, 0.5, users=True)

    def _errors(self, count, share, *, users=False):
        spread = self._volume.of_users if users else self._volume.of_campaigns
        return self._rng.normal(0, spread * np.sqrt(share), count)

    def night(self, day, difference):
        """One night's cells: what the challenger costs more than the champion by `difference` on average."""
        active = np.flatnonzero((self._start <= day) & (day < self._end))
        rows = np.outer(self._budget[active], self._users)
        rows = rows / rows.sum()
        campaign = self._campaign[active] + self._errors(len(active), 0.5)
        user = self._user + self._errors(BUCKETS, 0.5, users=True)
        noise = np.sqrt(rows) * self._volume.of_rows * self._rng.normal(size=rows.shape)
        cost = rows * (difference + campaign[:, None] + user[None, :]) + noise
        codes = np.repeat(active, BUCKETS)
        buckets = np.tile(np.arange(BUCKETS), len(active))
        sums = np.stack([rows.ravel(), cost.ravel()], axis=1)
        return Night(Cells(("rows", COST_DELTA), buckets, codes, np.full(len(codes), day), sums), {})


def added(whole, night):
    """Two nights as one: sums of equal cells added up, which changes no variance of the whole."""
    if whole is None:
        return night
    keys = [
        np.concatenate([getattr(each.cells, key) for each in (whole, night)]) for key in ("user_bucket", "campaign")
    ]
    code, place = np.unique(keys[1] * BUCKETS + keys[0], return_inverse=True)
    values = np.concatenate([whole.cells.sums, night.cells.sums])
    sums = np.stack([np.bincount(place, column, len(code)) for column in values.T], axis=1)
    return Night(Cells(night.cells.names, code % BUCKETS, code // BUCKETS, np.zeros(len(code), int), sums), {})


def night_of_takeover(volume, gain, nights, seed, rule):
    """The night on which a change that is cheaper by a share takes over; None where it doesn't within so many nights.

    rule: `ours`, or `each night anew` by its own interval.
    """
    traffic = Traffic(np.random.default_rng(seed), volume, nights)
    whole, first = None, 0.0
    for day in range(nights):
        night = traffic.night(day, -gain * CHAMPION_COST)
        if rule == "each night anew":
            if pool([night], COST_DELTA, GATE.confidence, None).interval(GATE.confidence).high < 0:
                return day + 1
            continue
        whole = added(whole, night)
        pooled = pool([whole], COST_DELTA, GATE.confidence, None)
        first = first or pooled.first_variance
        if replace(pooled, first_variance=first).e_value(CHANGE_NIGHTS) >= FIRST_CHANGE:
            return day + 1
    return None


@dataclass(frozen=True)
class Chain:
    """How good each night's challenger is, in margins of cost: around a level of its own or around the champion."""

    name: str
    around_champion: bool
    worse: float
    spread: float = 0.2


CHAINS = (
    Chain("null", around_champion=False, worse=0.0),
    Chain("half a margin worse than the first champion", around_champion=False, worse=0.5),
    Chain("rotting, each half a margin worse than its champion", around_champion=True, worse=0.5),
    Chain("warm, each a tenth of a margin worse than its champion", around_champion=True, worse=0.1, spread=0.1),
)
CAMPAIGNS = 24


def chain_night(rng, day, of_rows, levels):
    """One night of a challenger, a champion, an anchor and a predecessor with true costs `levels`.

    They share their noise in part: of rows alone, a difference of two models has the standard deviation `of_rows`.
    Without a predecessor it is the anchor.
    """
    rows = np.full(BUCKETS * CAMPAIGNS, 1.0 / (BUCKETS * CAMPAIGNS))
    noise = np.sqrt(rows) * of_rows / np.sqrt(2) * rng.normal(size=(4, len(rows)))
    challenger, champion, anchor, predecessor = (
        rows * level + each for level, each in zip((*levels, *levels[2:])[:4], noise, strict=True)
    )
    if levels[1] == levels[2]:
        champion = anchor
    if len(levels) < 4 or levels[3] == levels[2]:
        predecessor = anchor
    pairs = {
        COST_DELTA: challenger - champion,
        over(ANCHOR): challenger - anchor,
        champion_over(ANCHOR): champion - anchor,
        champion_over(PREDECESSOR): champion - predecessor,
    }
    sums = np.stack([rows, *pairs.values()], axis=1)
    buckets, campaigns = np.tile(np.arange(BUCKETS), CAMPAIGNS), np.repeat(np.arange(CAMPAIGNS), BUCKETS)
    return Night(Cells(("rows", *pairs), buckets, campaigns, np.full(len(rows), day), sums), {})


@dataclass(frozen=True)
class Year:
    """What became of a chain within its nights."""

    excess: float  # true cost of the champion above the anchor's at the end, in margins
    waits: tuple  # nights from one promotion to the next
    promotions: int


def run_chain(chain, of_rows, nights, seed):
    """Let the gate's own rule decide each night if the challenger takes over."""
    rng = np.random.default_rng(seed)
    champion, predecessor, since, past, waits, estimates, steps = 0.0, 0.0, 0, [], [], [], []
    for day in range(nights):
        base = champion if chain.around_champion else 0.0
        challenger = base + MARGIN * (chain.worse + chain.spread * rng.normal())
        night = chain_night(rng, day, of_rows, (challenger, champion, 0.0, predecessor))
        # The first champion is the anchor itself.
        earlier = {} if champion == 0.0 else {ANCHOR: "first", PREDECESSOR: "the one before"}
        days = estimate_day_variance(estimates[-28:])
        evidence = Evidence(
            nights=past[-56:],
            days={COST_DELTA: days} if days else {},
            champion_days=day - since,
            earlier=earlier,
            steps=steps,
            chain=steps,
        )
        weighed = weigh(night, GATE, evidence)
        part = describe_evidence(weighed, GATE, evidence, "refresh", CHAMPION_COST)
        alone = pool([night], COST_DELTA, GATE.confidence, None)
        estimates.append(PastEstimate(str(since), alone.estimate, alone.variance**0.5))
        past.append(night)
        if all(check.passed for check in refresh_checks(weighed, GATE, evidence, part)):
            waits.append(day - since + (since == 0))
            if champion != 0.0:
                steps.append(step_of(pool(past[-56:], champion_over(PREDECESSOR), GATE.confidence, None)))
            predecessor, champion, since, past = champion, challenger, day, []
    return Year(champion / MARGIN, tuple(waits), len(waits))
