"""A world in closed loop: what the served model sends is what is logged, trained on and judged.

Traffic is in cells of a group of users and a campaign, each with a true click probability that drifts; campaigns launch
and end. Models are surrogates: the log-odds of a cell as its training window had them, with an error that is the
smaller the more clicks were logged there and that consecutive nights share in part. Costs are those of the
demonstration, 0.02 a send and 1 a click, per 1,000 impressions.
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
    names: np.ndarray  # of the campaigns that it knows
    day: int
    recipe: str

    def sends(self, world, day):
        """Whether each cell is sent; a campaign that it doesn't know is judged by its group alone."""
        known = world.names[day] == self.names
        unknown = BASE + 0.5 * 0.42**2 + 0.5 * 0.55**2 + world.groups[:, None]
        return expit(np.where(known, self.odds, unknown)) >= SEND / CLICK


@dataclass(frozen=True, eq=False)
class Log:
    """A day's impressions and clicks as they were logged."""

    rows: np.ndarray  # (groups, campaigns, buckets)
    clicks: np.ndarray


class Year:
    """One policy's year: its own logs, models and champion in a world that it shares with the others."""

    def __init__(self, world, seed):
        self.world, self._rng = world, np.random.default_rng([seed, 2])
        self._error = self._rng.normal(size=(GROUPS, CAMPAIGNS))
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

    def train(self, day, recipe, worse):
        """Train on the window that ends before the validation day; `worse`: a further error's standard deviation."""
        last = day - DELAY - 1
        window = [past for past in range(max(last - WINDOW + 1, 0), last + 1) if past in self.logs]
        clicks = np.sum([self.logs[past].clicks.sum(axis=-1) for past in window], axis=0)
        seen = np.mean([self.world.odds[past] + np.log(self.world.seen_share(past)) for past in window], axis=0)
        # Two thirds of the error are the window's, which the next night shares; the rest is the night's own.
        self._error = 0.9 * self._error + np.sqrt(1 - 0.9**2) * self._rng.normal(size=self._error.shape)
        error = np.sqrt(0.67) * self._error + np.sqrt(0.33) * self._rng.normal(size=self._error.shape)
        spread = np.sqrt(0.1**2 + 1 / (clicks + 15.0) + worse**2)
        return Model(seen + spread * error, self.world.names[last].copy(), day, recipe)

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


def changes(log, ours, theirs, day):
    """Counts of the rows that two models decide differently."""
    found = []
    for sign, which in ((1, ours > theirs), (-1, ours < theirs)):
        rows, clicks = int(log.rows[which].sum()), int(log.clicks[which].sum())
        found.append((day, ChangedDecisions(rows, clicks, sign * (SEND - CLICK), sign * SEND)))
    return found
