"""Evidence that the rules of the cost weigh: tonight's, that of nights that asked the same, and earlier steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.gate.interval_words import interval_text, json_number, kind_of_failure, worth
from ctr_retrain.models.judging.changed_decisions import count_changed
from ctr_retrain.models.judging.day_variance import DayVariance
from ctr_retrain.models.judging.judged_rows import COST_DELTA, champion_over
from ctr_retrain.models.judging.seed_noise import seed_words
from ctr_retrain.models.ledger.pooled_nights import Nights, each_day_once
from ctr_retrain.models.ledger.refresh_steps import Step, next_step, sum_of_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.judging.seed_noise import SeedDeviation
    from ctr_retrain.models.ledger.pooled_nights import Night, Pooled
    from ctr_retrain.models.recipe.gate_section import Gate

# Roles among the earlier champions of judged rows: the one that refreshes are held to, and the one that served before.
ANCHOR, PREDECESSOR = "anchor", "predecessor"
# Of the gate's error for a chain of steps: it is looked at every night, and one that each night lets pass by luck would
# end a margin and a quarter above its anchor.
CHAIN_ERROR = 0.2


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence of earlier nights, as a verdict needs it."""

    nights: Sequence[Night] = ()  # that asked the same question, oldest first
    error: float = 0.025  # chance that a change may take over without being better: its share of the year's
    change: int = 1  # which change of the recipe within a year it is
    days: Mapping[str, DayVariance] = field(default_factory=dict)  # by figure, how nights differ
    champion: str | None = None  # its version
    champion_days: int = 0  # since the champion's run
    earlier: Mapping[str, str] = field(default_factory=dict)  # versions of the earlier champions, by role
    steps: Sequence[Step] = ()  # of refreshes of this recipe that served before the champion, oldest first
    chain: Sequence[Step] | None = None  # of those between the anchor and the champion; None where one isn't known
    message: str = ""  # what is to be said of the anchor
    dominant_campaign: str | None = None  # what is to be said of one with nearly all rows


@dataclass(frozen=True, eq=False)
class Weighed:
    """Tonight's difference, that over all nights, and how decisions changed."""

    tonight: Pooled
    whole: Pooled
    nights: Nights  # the earlier ones, and of tonight the days that none of them has
    between: DayVariance | None
    extent: str  # the sentence on changed decisions
    expected: Interval | None  # between which bounds the next refresh's step is expected, by those of earlier ones
    since_anchor: Interval | None  # what the challenger costs more than the anchor, step by step


def weigh(tonight: Night, gate: Gate, evidence: Evidence, seeds: SeedDeviation | None = None) -> Weighed:
    """Add tonight's rows to the earlier nights' evidence."""
    nights = Nights(each_day_once([*evidence.nights, tonight]))
    between = _between(evidence.days.get(COST_DELTA), seeds)
    groups = [group for _, group in tonight.changed.get(COST_DELTA, ())]
    extent = "Decisions differ on {:,} rows with {:,} positives.".format(*count_changed(groups))
    if seeds:
        extent = f"{extent} {seed_words(seeds, gate.confidence)}"
    alone, whole = (each.pool(COST_DELTA, gate.confidence, between) for each in (Nights([tonight]), nights))
    # The champion's own step is known better each night; one that is its own anchor took none.
    refreshed = {ANCHOR, PREDECESSOR} <= evidence.earlier.keys()
    own = step_of(nights.pool(champion_over(PREDECESSOR), gate.confidence, None)) if refreshed else None
    last, since_anchor = step_of(alone), None
    if own and last and evidence.chain is not None:
        sure = 1 - (1 - gate.confidence) * CHAIN_ERROR
        since_anchor = sum_of_steps([*evidence.chain, own, last], alone.freedom, sure)
    expected = next_step([*evidence.steps, *([own] if own else [])], gate.confidence)
    return Weighed(alone, whole, nights, between, extent, expected, since_anchor)


def step_of(pooled: Pooled) -> Step | None:
    """Return a difference of two models as a step; None where nothing is known of it."""
    error = pooled.standard_error_above
    return None if error is None else Step(pooled.estimate, error)


def _between(days: DayVariance | None, seeds: SeedDeviation | None) -> DayVariance | None:
    """Return how nights differ, of networks each trained anew: by their estimates, or what another seed alone does."""
    if not seeds or (days and days.value >= seeds.value**2):
        return days
    return DayVariance(seeds.value**2, seeds.value**2, float(max(seeds.twins, 1)))


def cost_check(
    delta: Interval,
    limit: float,
    weighed: Weighed,
    expected: str,
    *,
    passed: bool,
    tested: float | None = None,
    over: str = "",
    words: str = "",
) -> Check:
    """Write the check of the cost.

    tested: the end of the interval that told, where it isn't the estimate; over: nights and other evidence, in words.
    """
    message = (
        f"Cost per 1,000 impressions: expected {expected}, received {interval_text(delta, 2)}{over}. "
        f"{weighed.extent}{words}"
    )
    if delta.bounded and delta.low < delta.high:
        message = f"{worth(delta, limit, passed=passed)} {message}"
    kind = kind_of_failure(delta, "harm" if delta.low > limit else "unproven")
    value = json_number(delta)
    return Check(name=COST_DELTA, value=value, bound=limit, tested=tested, passed=passed, message=message, kind=kind)


def more_nights_words(nights: int | None, *, passed: bool) -> str:
    """Say after how many nights such a difference would pass."""
    if passed:
        return ""
    return f" About {nights} more night{'' if nights == 1 else 's'} at this rate." if nights else ""


def over_nights(count: int) -> str:
    """Say over how many nights evidence is added up, where it is of more than one."""
    return f" over {nights_words(count)}" if count > 1 else ""


def nights_words(count: int) -> str:
    """Write a number of nights."""
    return f"{count} night{'' if count == 1 else 's'}"
