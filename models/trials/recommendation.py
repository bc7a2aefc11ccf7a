"""Recommendation of a strategy to train by: the simplest that the evidence supports.

It is a climb. It starts at unweighted training and compares all that is less simple with where it stands, corrected for
their number (Holm 1979); of those that are surely better it takes the simplest, and goes on from there until nothing is
surely better. So each step up in complexity is paid for by evidence, at each step with the same chance of error.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.comparison_documents import (
    CRITERIA,
    SIMPLER_NAMES,
    ComparedSimply,
    Criterion,
    RecipeValue,
    Recommendation,
)
from ctr_retrain.models.documents.evaluation_documents import METRICS
from ctr_retrain.models.number_format import number, signed
from ctr_retrain.models.trials.differences import holm
from ctr_retrain.models.yardstick.worth import ADVICE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctr_retrain.models.trials.differences import Difference
    from ctr_retrain.models.trials.strategies import Strategy

CRITERION_NAMES: dict[Criterion, str] = {name: METRICS[name].criterion for name in CRITERIA}


def recommend(
    order: Sequence[Strategy],
    difference: Callable[[str, str], Difference],
    criterion: Criterion,
    alpha: float,
) -> Recommendation:
    """Climb through strategies, the simplest first, and recommend the one where the climb ends.

    difference: the loss of the strategy named first less that of the second. criterion: the loss, one of
    CRITERION_NAMES. alpha: chance of error of a step.
    """
    by_name = {strategy.name: strategy for strategy in order}
    names = list(by_name)
    path = [names[0]]
    while step := _simplest_better(names[names.index(path[-1]) + 1 :], path[-1], difference, alpha):
        path.append(step)
    if len(path) > 1:
        return Recommendation(name=path[-1], message=_climb_message(path, by_name, difference, criterion))
    compared = [difference(name, names[0]) for name in names[1:]]
    corrected = holm([found.p for found in compared])
    if compared and all(found.value > 0 and p <= alpha for found, p in zip(compared, corrected, strict=True)):
        message = f"Every other strategy is surely worse than {names[0]} by the {CRITERION_NAMES[criterion]}."
        return Recommendation(name=names[0], message=f"{message} {_keys_to_set(order[0])}")
    return Recommendation(name=None, message=_unseparated_message(names, compared, corrected, criterion, alpha))


def prefer_simpler(recommended: Recommendation, yardsticks: Sequence[ComparedSimply]) -> Recommendation:
    """Recommend the simplest model that the network is not surely better than, in the network's place."""
    for simple in yardsticks:
        if simple.worth_it is False:
            name = SIMPLER_NAMES[simple.name].capitalize()
            message = f"{name} is recommended. {simple.message} {ADVICE} Among the networks: {recommended.message}"
            return Recommendation(name=simple.name, strategy=recommended.name, message=message)
    return recommended.model_copy(update={"strategy": recommended.name})


def _simplest_better(
    names: Sequence[str], than: str, difference: Callable[[str, str], Difference], alpha: float
) -> str | None:
    """Return the simplest strategy that is surely better than another; None where none is."""
    found = [difference(name, than) for name in names]
    corrected = holm([comparison.p for comparison in found])
    return next(
        (n for n, comparison, p in zip(names, found, corrected, strict=True) if comparison.value < 0 and p <= alpha),
        None,
    )


def _climb_message(
    path: Sequence[str],
    by_name: dict[str, Strategy],
    difference: Callable[[str, str], Difference],
    criterion: Criterion,
) -> str:
    """Tell each step of the climb with its difference, and the keys to set."""
    steps = [
        f"{by_name[now].name} ({by_name[now].message}) is better than {before} by the {CRITERION_NAMES[criterion]}: "
        f"{interval_text(difference(now, before), criterion)}."
        for before, now in pairwise(path)
    ]
    rest = "Nothing less simple is surely better still."
    return " ".join([*steps, rest, _keys_to_set(by_name[path[-1]])])


def _unseparated_message(
    names: Sequence[str], compared: Sequence[Difference], corrected: Sequence[float], criterion: Criterion, alpha: float
) -> str:
    """Tell that the evidence doesn't separate the strategies, how near it came, and what would tell more."""
    if not compared:
        return f"Nothing was compared with {names[0]}."
    least = min(range(len(corrected)), key=lambda i: (corrected[i], compared[i].p))
    return (
        f"The evidence doesn't separate the strategies: by the {CRITERION_NAMES[criterion]}, none is better than "
        f"{names[0]} at {100 * (1 - alpha):g} % confidence, corrected for {len(compared)} comparisons. The smallest "
        f"corrected p is {number(corrected[least])}, of {names[1 + least]}: "
        f"{interval_text(compared[least], criterion)}. "
        "More days to judge by (--days) or more seeds (--seeds) would tell more."
    )


def _keys_to_set(strategy: Strategy) -> str:
    """Write the recipe's keys that make it train by a strategy."""
    if strategy.own:
        return "It is what the recipe does."
    return "In the recipe: " + ", ".join(f"{key} = {_toml(value)}" for key, value in strategy.changes.items()) + "."


def _toml(value: RecipeValue) -> str:
    """Write a value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def interval_text(difference: Difference, criterion: Criterion) -> str:
    """Write a difference with its interval, as in −0.12 (−0.40 to +0.16)."""
    numbers = (difference.value, difference.low, difference.high)
    value, low, high = (signed(each, METRICS[criterion].digits) for each in numbers)
    return f"{value} ({low} to {high})"
