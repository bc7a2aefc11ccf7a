"""Warnings about a recipe's training, for document and report: effects that its numbers don't show by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.documents.weights_documents import TrainingWarning
from ctr_retrain.models.number_format import number, percent
from ctr_retrain.models.weights.class_balance import AUTO_MEANS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.weights.row_weights import Factors

# Optimizers whose steps don't grow with the loss (but for an ε that is meant to be negligible), by class name.
SCALE_FREE = frozenset(
    {"adadelta", "adafactor", "adam", "adamax", "adamw", "lamb", "lazyadam", "lion", "muon", "nadam", "rmsprop"}
)
ROW_WISE_ADAGRAD = "rowwiseadagrad"  # the class name of our own, in lower case as the names above
NEARLY_1 = (0.9, 1.1)  # a mean weight within needs no warning


def training_warnings(recipe: Recipe, factors: Factors) -> tuple[TrainingWarning, ...]:
    """Return all warnings that hold for a run, the most general first."""
    optimizer = recipe.training.embedding_optimizer.replace("_", "")
    found = (
        _loss_warning(recipe, factors),
        step_size_warning(optimizer, factors.mean_weight, recipe.training.embedding_initial_accumulator),
        _repetition_warning(recipe),
        _auto_warning(recipe),
    )
    return tuple(warning for warning in found if warning)


def step_size_warning(optimizer: str, mean_weight: float, initial_accumulator: float = 0.1) -> TrainingWarning | None:
    """Warn of weights whose mean isn't 1 where they change an optimizer's steps; None where they don't.

    optimizer: its class's name, in any case.

    A loss c times as large makes gradients c times as large: SGD's steps with them (Bottou et al. 2018, equation 4.3),
    Adam's not (Kingma and Ba 2015, section 2.1). Adagrad's not in the long run, but at first: its start then counts as
    1/c² of itself.
    """
    name = optimizer.lower()
    if NEARLY_1[0] <= mean_weight <= NEARLY_1[1] or name in SCALE_FREE:
        return None
    effect = f"steps of {optimizer} are {number(mean_weight)} times as long as the learning rate says"
    if name in {"adagrad", ROW_WISE_ADAGRAD}:
        start = initial_accumulator / mean_weight**2
        effect = f"Adagrad's first steps are those of an initial accumulator of {number(start)}, not of the one given"
    message = (
        f"The training rows' weights have a mean of {number(mean_weight)}, so {effect}, and a learning rate tuned "
        "under other weights doesn't fit. Set weights.normalise = true, or tune the rate anew."
    )
    return TrainingWarning(name="step_size", message=message)


def _auto_warning(recipe: Recipe) -> TrainingWarning | None:
    """Warn of a class weight that is named after another library's setting and means something of its own."""
    if recipe.weights.class_weight != "auto":
        return None
    return TrainingWarning(name="auto_class_weight", message=AUTO_MEANS)


def _loss_warning(recipe: Recipe, factors: Factors) -> TrainingWarning | None:
    """Warn of a training loss that is no mean log loss of the rows as they came."""
    differences = list(_loss_differences(recipe, factors))
    if not differences:
        return None
    message = (
        f"The training loss is of {', '.join(differences)}. It can be compared within this run alone: not with other "
        "runs' (weights are made anew each day), and not with log loss on the validation days, which is unweighted."
    )
    return TrainingWarning(name="training_loss", message=message)


def _loss_differences(recipe: Recipe, factors: Factors) -> Iterator[str]:
    """Name all that makes the training loss another quantity than the mean log loss of rows as they came."""
    weights, training = recipe.weights, recipe.training
    if training.loss == "focal" and training.focal_gamma:
        yield f"the focal kind (γ = {number(training.focal_gamma)})"
    if min(factors.recency) < 1:
        yield f"rows weighed by age (half-life {number(recipe.row_weights.half_life_days)} days)"
    negative, positive = factors.class_weight
    if negative != positive:
        yield f"positives weighed {number(positive / negative)} times as much as negatives"
    if recipe.landing.columns.confidence:
        yield "rows weighed by confidence"
    if weights.negative_share < 1:
        yield f"{percent(weights.negative_share)} of the negatives"
    if weights.positive_copies > 1:
        yield f"each positive {weights.positive_copies} times"


def _repetition_warning(recipe: Recipe) -> TrainingWarning | None:
    """Warn of positives that embeddings meet several times an epoch."""
    copies = recipe.weights.positive_copies
    if copies == 1 or not any(feature.holds == "text" for feature in recipe.features):
        return None
    message = (
        f"Each positive is learned from {copies} times an epoch. Embeddings of rare values learn rows by heart from "
        "the second time on, as in a second epoch, which only unseen days show; a class weight of the same size "
        "repeats nothing."
    )
    return TrainingWarning(name="repeated_positives", message=message)
