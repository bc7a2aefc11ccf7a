"""A world in closed loop: what the served model sends is what is logged, trained on and judged.

Traffic is in cells of a group of users and a campaign, each with a true click probability that drifts; campaigns launch
and end. Models are surrogates: shrunk click ratios of the groups, campaigns and cells of the window's log, whose errors
are those of trained networks (docs/benchmarks.md). Costs are those of the demonstration, 0.02 a send and 1 a click, per
1,000 impressions.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from ctr_retrain.models.judging.cells import Cells
from ctr_retrain.models.judging.changed_decisions import ChangedDecisions
from ctr_retrain.models.judging.judged_rows import COST_DELTA, champion_over, over
from ctr_retrain.models.ledger.pooled_nights import Night

GROUPS, CAMPAIGNS, BUCKETS = 32, 24, 48
SEND, CLICK = 0.02, 1.0  # prices; sending pays from a probability of 0.02 on
WINDOW, DELAY = 14, 2  # days of training, and days until labels are final and validated
EXPLORED = 0.1  # of what isn't sent, to keep learning
HALF_LIFE = 7  # days in which a row loses half of its weight
PRIOR_CLICKS = 2.0  # that stand for what is known before: a group, a campaign or a cell is as the others
OWN_ERROR = 0.1  # standard deviation of what another seed changes of a cell's log-odds
BASE = np.log(0.02 / 0.98) - 0.5 * (2 * 0.42**2 + 0.55**2)


HARMFUL = "harmful"  # the recipe that trains worse models


@dataclass(frozen=True)
class Faults:
    """What goes wrong in a year, by the day on which it begins; None: never."""

    regime_change: int | None = None  # half of all tastes are drawn anew
    rotting: int | None = None  # for 40 days a feature rots: each night's model is a little worse than the last
    broken_logger: int | None = None  # for six days two fifths of a group's clicks are lost
    harmful_change: int | None = None  # for 30 days the recipe is one that trains worse models
    null_changes: tuple = ()  # days on which the recipe is changed, and nothing else

    def recipe_of(self, day):
        """The recipe of a day."""
        if self.harmful_change is not None and 0 <= day - self.harmful_change < 30:
            return HARMFUL
        return f"recipe {sum(day >= change for change in self.null_changes)}"

    def error_of(self, day, recipe):
        """The standard deviation of a further error of a recipe's models on a day."""
        rotten = 0.0 if self.rotting is None or not 0 <= day - self.rotting < 40 else 0.02 * (day - self.rotting)
        return rotten + (0.3 if recipe == HARMFUL else 0.0)


CALM = Faults(null_changes=(60, 140, 230))
FAULTY = Faults(regime_change=200, rotting=100, broken_logger=60, harmful_change=280, null_changes=(40, 180))


class World:
    """The truth of each day: the same for all policies of a seed."""

    def __init__(self, seed, days, faults, impressions=50_000):
        rng = np.random.default_rng([seed, 1])
        groups = rng.normal(0, 0.42, GROUPS)
        taste = rng.normal(0, 0.55, (GROUPS, CAMPAIGNS))
        level = rng.normal(0, 0.42, CAMPAIGNS)
        ends, name = rng.integers(5, 60, CAMPAIGNS), np.arange(CAMPAIGNS)
        self.faults, self.groups, self.odds, self.names = faults, groups, [], []
        for day in range(days):
            for slot in np.flatnonzero(ends <= day):
                ends[slot], name[slot] = day + rng.integers(20, 60), name.max() + 1
                level[slot], taste[:, slot] = rng.normal(0, 0.42), rng.normal(0, 0.55, GROUPS)
            taste = 0.995 * taste + rng.normal(0, 0.55 * np.sqrt(1 - 0.995**2), taste.shape)
            if day == faults.regime_change:
                drawn = rng.random(taste.shape) < 0.5
                taste = np.where(drawn, rng.normal(0, 0.55, taste.shape), taste)
            self.odds.append(BASE + groups[:, None] + level + taste + rng.normal(0, 0.05))
            self.names.append(name.copy())
        self.rows = rng.gamma(3.0, size=(GROUPS, 1)) * rng.gamma(3.0, size=CAMPAIGNS)
        self.rows *= impressions / self.rows.sum()

    def cost(self, day, model):
        """The true cost per 1,000 of a model's decisions on a day."""
        probability, sent = expit(self.odds[day]), model.sends(self, day)
        return 1000 * (self.rows * sent * (SEND - CLICK * probability)).sum() / self.rows.sum()

    def seen_share(self, day):
        """The share of clicks that the logger keeps, by group."""
        start, kept = self.faults.broken_logger, np.ones((GROUPS, 1))
        if start is not None and start <= day < start + 6:
            kept[: GROUPS // 2] = 0.6
        return kept


@dataclass(frozen=True, eq=False)
class Model:
    """What a night's training made."""

    odds: np.ndarray  # (groups, campaigns)
    newcomers: np.ndarray  # (groups,), log-odds of a campaign that it doesn't know
    names: np.ndarray  # of the campaigns that it knows
    day: int
    recipe: str

    def odds_on(self, world, day):
        """Its log-odds of a day's cells; a campaign that it doesn't know is judged by its group alone."""
        return np.where(world.names[day] == self.names, self.odds, self.newcomers[:, None])

    def sends(self, world, day):
        """Whether each cell is sent."""
        return expit(self.odds_on(world, day)) >= SEND / CLICK


@dataclass(frozen=True, eq=False)
class Log:
    """A day's impressions and clicks as they were logged."""

    rows: np.ndarray  # (groups, campaigns, buckets)
    clicks: np.ndarray


class Year:
    """One policy's year: its own logs, models and champion in a world that it shares with the others."""

    def __init__(self, world, seed):
        self.world, self._rng = world, np.random.default_rng([seed, 2])
        self.logs = {}

    def start(self, day):
        """Train the first model on days on which everything was logged, and log those days."""
        for past in range(day):
            self.log(past, None)
        recipe = self.world.faults.recipe_of(day)
        return self.train(day, recipe, self.world.faults.error_of(day, recipe))

    def log(self, day, model):
        """Serve a day's traffic and log what is sent, and a share of the rest; without a model everything is sent."""
        # A group is one of people who like the same; a bucket is a hash, which has people of all groups.
        shape = (GROUPS, CAMPAIGNS, BUCKETS)
        sent = np.ones(shape[:2], bool) if model is None else model.sends(self.world, day)
        share = np.where(sent, 1.0, EXPLORED) / BUCKETS
        kept = self._rng.poisson(np.broadcast_to((self.world.rows * share)[..., None], shape))
        seen = expit(self.world.odds[day]) * self.world.seen_share(day)
        self.logs[day] = Log(kept, self._rng.binomial(kept, np.broadcast_to(seen[..., None], shape)))
        self.logs.pop(day - WINDOW - DELAY - 2, None)

    def window(self, day):
        """The days that a model of a day is trained on: those before the validation day whose log there is."""
        last = day - DELAY - 1
        return [past for past in range(max(last - WINDOW + 1, 0), last + 1) if past in self.logs]

    def train(self, day, recipe, worse):
        """Train on the window that ends before the validation day; `worse`: a further error's standard deviation."""
        window = self.window(day)
        names, rows, clicks = self.world.names[window[-1]], 0.0, 0.0
        for past in window:
            weight = 0.5 ** ((window[-1] - past) / HALF_LIFE) * (self.world.names[past] == names)
            rows = rows + weight * self.logs[past].rows.sum(axis=-1)
            clicks = clicks + weight * self.logs[past].clicks.sum(axis=-1)
        level, groups, campaigns, cells = shrunk_ratios(rows, clicks)
        odds = np.log(level * np.outer(groups, campaigns) * cells)
        error = self._rng.normal(0, np.sqrt(OWN_ERROR**2 + worse**2), odds.shape)
        newcomers = np.log(level * groups * campaigns.mean())  # of campaigns as those that it knows
        return Model(odds + error, newcomers, names.copy(), day, recipe)

    def again(self, day, recipe, worse):
        """Train on the same window with another seed."""
        return self.train(day, recipe, worse)

    def auc(self, day, model):
        """The area under the curve of a model's order of the cells on the validation day's log."""
        log = self.logs[day - DELAY]
        order = np.argsort(model.odds, axis=None)
        clicks, rest = (each.sum(axis=-1).ravel()[order] for each in (log.clicks, log.rows - log.clicks))
        below = np.cumsum(rest) - rest / 2
        return (clicks * below).sum() / max(clicks.sum() * rest.sum(), 1)

    def night(self, day, challenger, champion, earlier):
        """What the validation day's log says of two models, and of earlier champions by their role."""
        past = day - DELAY
        log, decided = self.logs[past], {}
        for role, model in {"challenger": challenger, "champion": champion, **earlier}.items():
            decided[role] = model.sends(self.world, past).astype(float)
        worth = 1000 * (SEND * log.rows - CLICK * log.clicks)
        pairs = {COST_DELTA: ("challenger", "champion")}
        for role in earlier:
            pairs |= {over(role): ("challenger", role), champion_over(role): ("champion", role)}
        changed = {figure: changes(log, decided[a], decided[b], past) for figure, (a, b) in pairs.items()}
        differences = (np.einsum("gcb,gc->cb", worth, decided[a] - decided[b]) for a, b in pairs.values())
        sums = [log.rows.sum(axis=0).astype(float), *differences]
        campaigns, buckets = np.indices(sums[0].shape)
        cells = Cells(
            ("rows", *pairs),
            buckets.ravel(),
            self.world.names[past][campaigns.ravel()],
            np.full(sums[0].size, past),
            np.stack([each.ravel() for each in sums], axis=1),
        )
        return Night(cells, changed)


def shrunk_ratios(rows, clicks):
    """The click ratio of a window, and what groups, campaigns and cells have of it; shrunk towards 1."""
    level, campaigns = clicks.sum() / rows.sum(), np.ones(CAMPAIGNS)
    for _ in range(3):
        groups = (clicks.sum(axis=1) + PRIOR_CLICKS) / ((level * rows * campaigns).sum(axis=1) + PRIOR_CLICKS)
        expected = level * rows * groups[:, None]
        campaigns = (clicks.sum(axis=0) + PRIOR_CLICKS) / (expected.sum(axis=0) + PRIOR_CLICKS)
    return level, groups, campaigns, (clicks + PRIOR_CLICKS) / (expected * campaigns + PRIOR_CLICKS)


def changes(log, ours, theirs, day):
    """Counts of the rows that two models decide differently."""
    found = []
    for sign, which in ((1, ours > theirs), (-1, ours < theirs)):
        rows, clicks = int(log.rows[which].sum()), int(log.clicks[which].sum())
        found.append((day, ChangedDecisions(rows, clicks, sign * (SEND - CLICK), sign * SEND)))
    return found
