"""Policies side by side in a world in closed loop: who takes over, by which rule, and what that costs within a year."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from ctr_retrain.models.gate.cost_rules import change_check, describe_evidence
from ctr_retrain.models.gate.refresh_rules import refresh_checks
from ctr_retrain.models.gate.weighing import ANCHOR, PREDECESSOR, Evidence, step_of, weigh
from ctr_retrain.models.judging.day_variance import PastEstimate, estimate_day_variance
from ctr_retrain.models.judging.judged_rows import COST_DELTA, champion_over
from ctr_retrain.models.ledger.error_budget import share_of_budget
from ctr_retrain.models.ledger.harm import harm_of
from ctr_retrain.models.ledger.pooled_nights import pool
from ctr_retrain.models.ledger.refresh_steps import Step
from tests.support.gate_years import CHAMPION_COST, GATE, MARGIN
from tests.support.policy_world import DELAY, Year

FIRST_NIGHT = 6  # days before it are served by a model that was trained on a log of everything
REFRESH_NIGHTS, LOOK_BACK = 56, 28


@dataclass
class Tenure:
    """A model in service."""

    model: object
    since: int
    shown: bool  # to be better than what was there, or the first
    step: Step | None = None  # what it was found to cost more than its predecessor


class Policy:
    """Decides each night; by default nothing ever changes."""

    name = "never retrain"

    def __init__(self):
        self.tenures = []

    def earlier(self):
        """Earlier champions to be scored beside the champion, by role."""
        return {}

    def recipes(self, today, champion):
        """What is trained tonight, in order: the recipe as it is today."""
        return (today,)

    def takes_over(self, night, day, challenger, champion, year):
        """Whether the challenger takes over."""
        return False

    def withdrawn(self):
        """The model that serves again instead of a champion that was found harmful; None where it wasn't."""


class Always(Policy):
    name = "always promote"

    def takes_over(self, night, day, challenger, champion, year):
        return True


class BestAuc(Policy):
    name = "best AUC"

    def takes_over(self, night, day, challenger, champion, year):
        return year.auc(day, challenger) > year.auc(day, champion)


class PointEstimate(Policy):
    """As TensorFlow's validator: the estimate within a threshold of the champion's."""

    name = "cost's estimate within the margin"

    def takes_over(self, night, day, challenger, champion, year):
        rows, delta = night.cells.sums[:, 0].sum(), night.cells.sums[:, 1].sum()
        return delta / rows <= MARGIN


class Oracle(Policy):
    """Knows the truth, and takes the better one."""

    name = "oracle"

    def takes_over(self, night, day, challenger, champion, year):
        return year.world.cost(day, challenger) < year.world.cost(day, champion)


@dataclass
class JudgedNight:
    """A night in the ledger."""

    recipes: tuple  # the challenger's and the champion's
    champion: object
    night: object
    figure: PastEstimate


@dataclass
class Ours(Policy):
    """The gate's own rules with a ledger, and the rollback of a champion that is found harmful."""

    tenures: list = field(default_factory=list)
    ledger: list = field(default_factory=list)
    opened: dict = field(default_factory=dict)  # day and share of each change of the recipe
    checks: list = field(default_factory=list)  # tonight's
    harm: str | None = None
    name = "ours"

    def recipes(self, today, champion):
        """The champion's own recipe goes on while a changed one is on trial, from the second night on."""
        on_trial = any(one.recipes == (today, champion.recipe) for one in self.ledger)
        return (champion.recipe, today) if on_trial and today != champion.recipe else (today,)

    def earlier(self):
        champion = self.tenures[-1].model
        found = {ANCHOR: [tenure.model for tenure in self.tenures if tenure.shown][-1]}
        if len(self.tenures) > 1:
            found[PREDECESSOR] = self.tenures[-2].model
        return {role: model for role, model in found.items() if model is not champion}

    def takes_over(self, night, day, challenger, champion, year):
        recipes = (challenger.recipe, champion.recipe)
        refresh = recipes[0] == recipes[1]
        alike = [one for one in self.ledger if one.recipes == recipes and (one.champion is champion or not refresh)]
        days = estimate_day_variance([one.figure for one in self.ledger[-LOOK_BACK:] if one.recipes[0] == recipes[0]])
        evidence = Evidence(
            nights=[one.night for one in alike][-REFRESH_NIGHTS if refresh else 0 :],
            error=GATE.false_changes_per_year * (0.5 if refresh else self._share(recipes, day)),
            days={COST_DELTA: days} if days else {},
            champion_days=day - champion.day,
            earlier={role: f"model of {model.day}" for role, model in self.earlier().items()},
            **self._steps(champion),
        )
        weighed = weigh(night, GATE, evidence)
        part = describe_evidence(weighed, GATE, evidence, "refresh" if refresh else "change", CHAMPION_COST)
        self.checks = refresh_checks(weighed, GATE, evidence, part) if refresh else [change_check(weighed, GATE, part)]
        alone = pool([night], COST_DELTA, GATE.confidence, None)
        figure = PastEstimate(str(champion.day), alone.estimate, (alone.variance or 0.0) ** 0.5)
        self.ledger.append(JudgedNight(recipes, champion, night, figure))
        self.harm = harm_of(part)
        if PREDECESSOR in evidence.earlier:
            self.tenures[-1].step = step_of(weighed.nights.pool(champion_over(PREDECESSOR), GATE.confidence, None))
        return all(check.passed for check in self.checks)

    def withdrawn(self):
        if self.harm and len(self.tenures) > 1:
            self.tenures.pop()
            return self.tenures[-1].model
        return None

    def _steps(self, champion):
        """Steps of the recipe's refreshes before the champion, and of those since the anchor."""
        anchor = max(place for place, tenure in enumerate(self.tenures) if tenure.shown)
        own = [tenure.step for tenure in self.tenures[anchor + 1 : -1]]
        alike = [one for one in self.tenures[:-1] if one.model.recipe == champion.recipe and not one.shown]
        return {
            "steps": [tenure.step for tenure in alike if tenure.step],
            "chain": None if None in own else own,
        }

    def _share(self, recipes, day):
        if recipes not in self.opened:
            today = date(2026, 1, 1) + timedelta(days=day)
            self.opened[recipes] = (today, share_of_budget([opened for opened, _ in self.opened.values()], today)[0])
        return self.opened[recipes][1]


POLICIES = (Policy, Always, BestAuc, PointEstimate, Ours)


@dataclass(frozen=True)
class Outcome:
    """What a policy's year came to."""

    cost: float  # mean true cost per 1,000 of what served
    promotions: int
    harmful: tuple  # days that each harmful champion served


def run_year(world, policy, days, seed, kind=Year):
    """Serve and retrain for a year of a kind, of surrogates or not; the policy decides each night who takes over."""
    year, faults = kind(world, seed), world.faults
    champion, costs, harmful, harm_since, promotions = year.start(FIRST_NIGHT), [], [], None, 0
    policy.tenures.append(Tenure(champion, FIRST_NIGHT, shown=True))
    for day in range(FIRST_NIGHT, days):
        year.log(day, champion)
        costs.append(world.cost(day, champion))
        if day < FIRST_NIGHT + DELAY + 1:
            continue
        before = champion
        for recipe in policy.recipes(faults.recipe_of(day), champion):
            challenger = year.train(day, recipe, faults.error_of(day, recipe))
            night = year.night(day, challenger, champion, policy.earlier())
            if policy.takes_over(night, day, challenger, champion, year):
                policy.tenures.append(Tenure(challenger, day, shown=challenger.recipe != champion.recipe))
                champion, promotions = challenger, promotions + 1
            else:
                champion = policy.withdrawn() or champion
        if champion is not before:
            harmful += [] if harm_since is None else [day - harm_since]
            worse_than_before = world.cost(day, champion) > world.cost(day, before) + MARGIN
            harm_since = day if worse_than_before else None
    harmful += [] if harm_since is None else [days - harm_since]
    return Outcome(float(np.mean(costs)), promotions, tuple(harmful))
