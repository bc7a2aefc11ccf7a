"""Models that win clicks by what annoys: how often the guardrail rejects them once 2,000 unsubscribes are pooled.

Champion and challenger send the same three quarters of what they send; in place of the rest the challenger sends bait,
which is clicked more and unsubscribed from more. Users and campaigns have tastes that last from night to night, and
campaigns differ in how much bait they hold.
"""

from dataclasses import dataclass

import numpy as np

from ctr_retrain.models.gate.guardrails import KindOfRows, guarded_sums, judge_guardrails
from ctr_retrain.models.judging.judged_rows import JudgedRows, compared_cells
from ctr_retrain.models.recipe.channel_section import Cost
from ctr_retrain.models.recipe.gate_section import Gate

COSTS = {"ad": Cost(true_positive=-0.98, false_positive=0.02)}
GATE = Gate(max_cost_delta_per_1000=0.5, max_channel_cost_delta_per_1000=2.0, guardrails={"unsubscribe": 0.05})
ROWS, CAMPAIGNS, USERS, POOLED = 60_000, 60, 20_000, 2_000
SENT, SKIPPED = 0.03, 0.01  # probabilities on either side of the threshold
# Shares of the rows that both models send, that the champion alone sends, and that the challenger alone does.
BOTH, CHAMPIONS, BAIT = 0.3, 0.1, 0.1
CLICKED, UNSUBSCRIBED = (0.03, 0.02), (0.008, 0.006)  # rates of the first two


@dataclass(frozen=True)
class Bait:
    """How many times as many outcomes the challenger's sends bring as the champion's."""

    name: str
    clicks: float
    unsubscribes: float

    def rate(self, times, rates):
        """The rate of rows that the challenger alone sends, so that all of its sends bring `times` as many."""
        champions = BOTH * rates[0] + CHAMPIONS * rates[1]
        return (times * champions - BOTH * rates[0]) / BAIT


BAITS = (
    Bait("clickbait: +5 % clicks, +20 % unsubscribes", 1.05, 1.2),
    Bait("none: as many unsubscribes", 1.0, 1.0),
    Bait("none: on the bound, +5 % unsubscribes", 1.05, 1.05),
)


class World:
    """Tastes that last."""

    def __init__(self, rng):
        self.user, self.campaign = (rng.lognormal(-0.08, 0.4, size) for size in (USERS, CAMPAIGNS))
        self.held = rng.lognormal(0, 0.5, CAMPAIGNS)  # bait of each campaign, beside its other rows

    def night(self, rng, bait, day):
        """One night's cells with the guarded sums, and the clicks of both models' sends."""
        user = np.minimum((rng.pareto(1.2, ROWS) * 500).astype(int), USERS - 1)
        part = rng.choice(4, ROWS, p=[BOTH, CHAMPIONS, BAIT, 1 - BOTH - CHAMPIONS - BAIT])
        budget = np.full(CAMPAIGNS, 1 / CAMPAIGNS)
        campaign = rng.choice(CAMPAIGNS, ROWS, p=budget)
        campaign[part == 2] = rng.choice(CAMPAIGNS, (part == 2).sum(), p=self.held / self.held.sum())
        taste = self.user[user] * self.campaign[campaign]
        rates = [
            (*each, bait.rate(times, each), 0.0)
            for times, each in ((bait.clicks, CLICKED), (bait.unsubscribes, UNSUBSCRIBED))
        ]
        clicked, left = (rng.random(ROWS) < np.minimum(np.array(each)[part] * taste, 0.5) for each in rates)
        ours, theirs = np.isin(part, (0, 2)), np.isin(part, (0, 1))
        rows = JudgedRows(
            clicked.astype(int),
            np.where(ours, SENT, SKIPPED),
            np.where(theirs, SENT, SKIPPED),
            np.full(ROWS, "ad"),
            user * 7919 % 256,
            campaign,
            np.full(ROWS, day),
        )
        sums = guarded_sums(rows, {"unsubscribe": KindOfRows(left.astype(float))}, COSTS)
        return (
            compared_cells(JudgedRows(**{**vars(rows), "sums": sums}), COSTS),
            (clicked & ours).sum(),
            (clicked & theirs).sum(),
        )


def judge_trial(bait, seed, *, each_night):
    """Pool nights to 2,000 unsubscribes of the champion's sends: was the challenger rejected, and what was seen."""
    rng = np.random.default_rng([23, seed])
    world, nights, clicks, rejected = World(rng), [], np.zeros(2), False
    while True:
        cells, *own = world.night(rng, bait, len(nights))
        nights.append(cells)
        clicks += own
        theirs = sum(one.sums[:, one.names.index("guard_unsubscribe_outcomes_theirs")].sum() for one in nights)
        if each_night or theirs >= POOLED:
            part, (check,) = judge_guardrails(nights, GATE)
            rejected |= not check.passed
        if theirs >= POOLED:
            return rejected, part.kinds[0].ratio.value, clicks[0] / clicks[1], len(nights)


def rows_of_guardrails(trials):
    """A row for each kind of bait; a sound challenger is looked at every night."""
    rows = []
    for bait in BAITS:
        harmful = bait.unsubscribes > 1 + GATE.guardrails["unsubscribe"]
        found = [judge_trial(bait, seed, each_night=not harmful) for seed in range(trials)]
        rejected, ratio, clicks, nights = (float(np.mean(column)) for column in zip(*found, strict=True))
        figures = {"plant": bait.name, "trials": trials, "rejected_share": rejected, "should_reject": harmful}
        rows.append(figures | {"unsubscribes": round(ratio, 3), "clicks": round(clicks, 3), "nights": round(nights, 1)})
    return rows
