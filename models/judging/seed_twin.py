"""A run's network beside its seed twin, the same network trained with another seed, on the gate's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctr_retrain.models.documents.training_documents import SeedNoise, SeedTwin
from ctr_retrain.models.judging.changed_decisions import count_changed, widen
from ctr_retrain.models.judging.judged_rows import changed_decisions_of, interval_part, paired_intervals, paired_with
from ctr_retrain.models.judging.seed_noise import seed_deviation, standard_error
from ctr_retrain.models.number_format import signed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.comparison_documents import IntervalPart
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.recipe import Recipe


def compare_with_seed_twin(rows: JudgedRows, twin: NDArray[Any], recipe: Recipe, day: date, seconds: float) -> SeedTwin:
    """Compare the challenger with its twin; twin: (rows,) probabilities. day: the run's own."""
    paired = paired_with(rows, twin, recipe)
    log_loss, cost, changed = paired_intervals(paired, recipe)
    confidence, count = recipe.gate.confidence, len(paired.label)
    return SeedTwin(
        date=day,
        recipe_digest=recipe.digest,
        rows=count,
        changed_share=count_changed(changed)[0] / max(1, count),
        log_loss_difference=interval_part(log_loss),
        cost_difference=interval_part(widen(cost, changed, count, confidence)),
        cost_standard_error=standard_error(cost, confidence),
        seconds=seconds,
    )


def describe_seed_noise(twins: Sequence[SeedTwin], rows: JudgedRows, recipe: Recipe) -> SeedNoise:
    """Say what the newest twin of the recipe, or else of an earlier one, tells of the challenger on these rows."""
    own = [twin for twin in twins if twin.recipe_digest == recipe.digest]
    newest = (own or twins)[-1]
    seeds = seed_deviation(own or twins)
    share = None if rows.champion is None else _changed_share(rows, recipe)
    against = "" if share is None else f"{100 * share:.1f} % of decisions changed against the champion; "
    message = (
        f"{against}{'another' if against else 'Another'} seed alone changes {100 * newest.changed_share:.1f} %. "
        f"Measured on {newest.date}{'' if own else ', with an earlier recipe'}: log loss "
        f"{_written(newest.log_loss_difference, 5)}, cost per 1,000 {_written(newest.cost_difference, 2)}."
    )
    return SeedNoise(
        twin=newest,
        twins=seeds.twins if seeds else 0,
        cost_deviation=seeds.value if seeds else None,
        changed_share=share,
        message=message,
    )


def _changed_share(rows: JudgedRows, recipe: Recipe) -> float:
    """Return the share of the rows of gated channels that challenger and champion decide differently."""
    paired = paired_with(rows, rows.baseline(), recipe)
    costs = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    return count_changed(changed_decisions_of(paired, costs))[0] / max(1, len(paired.label))


def _written(part: IntervalPart, digits: int) -> str:
    value, low, high = (signed(each, digits) for each in (part.value, part.low, part.high))
    return f"{value} ({low} to {high})"
