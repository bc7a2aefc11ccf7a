"""Weights and offsets of the heads, each counted over the training rows that know its label.

A head is an output of the network for one more kind of outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.documents.weights_documents import WeightsDocument
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.recipe.head_section import Head, final_from_age
from ctr_retrain.models.weights.head_weights import HeadFactors
from ctr_retrain.models.weights.row_weights import ClassMass, Factors, compute_factors
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.store.layout import WEIGHTS_FILE
from ctr_retrain.tasks.train.row_roles import HEAD_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.weights_section import Weights
    from ctr_retrain.tasks.plan.plan_run import RunPlan


def weigh_heads(connection: duck.Connection, rows: str, recipe: Recipe, plan: RunPlan) -> dict[str, Factors]:
    """Count each head's rows and compute its factors, by kind of outcome. rows: the query of the training rows.

    Raises DataRejectedError where nothing of a head is known, or everything is positive.
    """
    found = {}
    confidence = "coalesce(confidence, 1.0)" if recipe.landing.columns.confidence else "1.0"
    for head in recipe.training.heads:
        label = duck.name(f"{HEAD_LABEL}{head.kind}")
        counted = connection.sql(
            f"SELECT day_index::BIGINT, {label}::BIGINT, {confidence}::DOUBLE, count(*) FROM ({rows}) "
            f"WHERE {label} IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).to_arrow_table()
        mass = ClassMass(*(column.to_numpy() for column in counted.columns))
        try:
            days = tuple(day.day for day in plan.train)
            found[head.kind] = compute_factors(days, plan.data_through, mass, _weights(recipe, head))
        except DataRejectedError as error:
            age, newest = final_from_age(head, recipe.final_ages), (plan.day - plan.data_through).days
            msg = (
                f"head {head.kind!r}: {error} Its labels are final at an age of {age} days, and the newest training "
                f"day is {newest} days old."
            )
            raise DataRejectedError(msg) from error
    return found


def head_factors(folder: Path, heads: Sequence[Head]) -> tuple[HeadFactors, ...]:
    """Return the factors that `weigh_heads` found in this run, in the order of the recipe's heads."""
    if not heads:
        return ()
    stored = WeightsDocument.read(folder / WEIGHTS_FILE).heads
    return tuple(HeadFactors(h.kind, h.weight, Factors.of(stored[h.kind])) for h in heads)


def representation_factors(folder: Path) -> Factors:
    """Return the factors by which rows weigh in the first of two training stages."""
    stored = WeightsDocument.read(folder / WEIGHTS_FILE).representation
    assert stored is not None  # `weigh_rows` wrote it for this very recipe
    return Factors.of(stored)


def without_classes(weights: Weights) -> Weights:
    """Return weights of the plain data: recency and confidence stay, classes weigh alike, nothing is sampled.

    The first of two stages learns by them (Kang et al. 2020, section 4.1).
    """
    return weights.model_copy(update={"class_weight": "none", "cap": 0.0, "negative_share": 1.0, "positive_copies": 1})


def _weights(recipe: Recipe, head: Head) -> Weights:
    """Return the recipe's weights with the head's own class weight, if it has one, and without sampling."""
    # Sampling goes by the main label, and each row's weight undoes it.
    own = {"class_weight": head.class_weight} if head.class_weight else {}
    return recipe.row_weights.model_copy(update={"negative_share": 1.0, "positive_copies": 1, **own})
