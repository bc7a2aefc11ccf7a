"""Compatibility of two recipes: weights mean the same in both of their networks, so that one can start from another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe

# Keys of [training] that weights depend on. The loss is one: a focal network's output goes through a link of its own.
SHAPING = ("network", "embedding_dim", "hidden_units", "cross_layers", "ensemble", "loss", "focal_gamma")


def why_incompatible(recipe: Recipe, champion: Recipe) -> str | None:
    """Say why the champion's weights mean nothing to the recipe's network; None where they mean something."""
    for key in SHAPING:
        wanted, found = getattr(recipe.training, key), getattr(champion.training, key)
        if wanted != found:
            return f"its training.{key} is {found}, the recipe's {wanted}"
    theirs = {feature.name: feature for feature in champion.features}
    if not any(feature.name in theirs and feature.has_rows_of(theirs[feature.name]) for feature in recipe.features):
        return "it has no feature in common with the recipe"
    return None


def same_rows_kept_out(recipe: Recipe, champion: Recipe) -> bool:
    """Return True if both recipes keep the same rows of a day out of training."""
    ours, theirs = recipe.training, champion.training
    return (
        champion.warm_start.enabled
        and recipe.landing == champion.landing
        and (ours.calibration_share, ours.stopping_share) == (theirs.calibration_share, theirs.stopping_share)
        and (ours.epochs > 1) == (theirs.epochs > 1)
    )
