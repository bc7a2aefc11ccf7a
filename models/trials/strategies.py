"""Ways to train on the same rows, which `compare` sets side by side. Each is the recipe with other weights, no more.

Unweighted training is the baseline of all others. Downsampling keeps so many negatives, and oversampling repeats
positives so often, that TARGET_SHARE of the streamed rows are positives. Focal loss has the γ = 2 of Lin et al. 2017,
"Focal Loss for Dense Object Detection", section 4.1, and no α, which would be a class weight. All of them invert their
weights and sampling exactly, save the recipe's own where it doesn't, so that probabilities are compared, not scales.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypedDict

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.number_format import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.documents.comparison_documents import RecipeValue
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.weights_section import ClassWeight, Weights

UNWEIGHTED, OWN = "unweighted", "own"
# Families in the order in which equally simple ones are preferred.
FAMILIES = (
    UNWEIGHTED, "recency", "class_weights", "downsampling", "oversampling", "focal", "recency_class", OWN
)  # fmt: skip
TARGET_SHARE = 0.1  # of positives, among the rows that are streamed
LEAST_SAMPLING = 2  # the classes' ratio moves at least so much, also where positives are no longer rare
FOCAL_GAMMA = 2.0  # Lin et al.'s
NO_RECENCY_DAYS = 1e6  # a half-life beside which no window is old


@dataclass(frozen=True)
class Grid:
    """The values of recency and class weight to try."""

    half_lives: tuple[float, ...] = ()  # in days; none given: the recipe's
    class_powers: tuple[float, ...] = ()  # to which the class weight is raised; none given: 1

    def __post_init__(self) -> None:
        """Raise UsageError for a half-life that isn't positive and for a power outside 0 to 1."""
        for half_life in self.half_lives:
            if not 0 < half_life < NO_RECENCY_DAYS:
                msg = f"--half-lives: expected days above 0, received {half_life:g}"
                raise UsageError(msg)
        for power in self.class_powers:
            if not 0 <= power <= 1:
                msg = f"--class-powers: expected 0 to 1, received {power:g}"
                raise UsageError(msg)


@dataclass(frozen=True)
class Strategy:
    """A way to train."""

    name: str
    message: str  # a phrase that describes it
    recipe: Recipe  # that trains by it
    changes: Mapping[str, RecipeValue]  # key of the recipe → its value, where that differs from the user's recipe
    own: bool = False  # it is the user's recipe as it stands

    @property
    def mechanisms(self) -> int:
        """Count the things that a reader of its recipe has to understand: the fewer, the simpler."""
        weights, training = self.recipe.weights, self.recipe.training
        return sum(
            (
                _has_recency(self.recipe),
                _class_weighing(weights) is not None,
                weights.cap > 0,
                weights.negative_share < 1,
                weights.positive_copies > 1,
                training.loss != "cross_entropy",
            )
        )


class _Weighing(TypedDict, total=False):
    """Keys of the recipe's [weights] that a variant sets; all others are those of unweighted training."""

    half_life_days: float
    class_weight: Literal["balanced"]
    class_power: float
    negative_share: float
    positive_copies: int


@dataclass(frozen=True)
class _Variant:
    """One of a family's variants."""

    suffix: str  # of its name, behind the family's
    message: str  # a phrase that describes it
    weighing: _Weighing
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"


def refuse_unknown(wanted: Sequence[str]) -> None:
    """Raise UsageError for a name that is no family's."""
    if unknown := [name for name in wanted if name not in FAMILIES]:
        msg = f"--strategies: expected some of {', '.join(FAMILIES)}, received {unknown[0]!r}"
        raise UsageError(msg)


def strategies(recipe: Recipe, grid: Grid, positive_ratio: float, wanted: Sequence[str] = ()) -> list[Strategy]:
    """List the wanted families' strategies (none named: all), the simplest first, always unweighted training.

    Of two that are equally simple, that of the earlier family comes first. The recipe's own is there once, under its
    family's name where it is in one. positive_ratio: of the training rows. Raises UsageError for an unknown name.
    """
    refuse_unknown(wanted)
    varied = _catalogue(recipe, grid, positive_ratio)
    listed = [
        _strategy(family + variant.suffix, variant, recipe)
        for family in FAMILIES
        if family in varied and (family == UNWEIGHTED or not wanted or family in wanted)
        for variant in varied[family]
    ]
    if not wanted or OWN in wanted:
        own = Strategy(OWN, "the recipe as it stands", recipe, {}, own=True)
        same = [_train_alike(strategy.recipe, recipe) for strategy in listed]
        listed = [replace(strategy, own=alike) for strategy, alike in zip(listed, same, strict=True)]
        listed += [] if any(same) else [own]
    return sorted(listed, key=lambda strategy: strategy.mechanisms)  # a stable sort


def _catalogue(recipe: Recipe, grid: Grid, positive_ratio: float) -> dict[str, list[_Variant]]:
    """Return each family's variants."""
    half_lives = [(f"_{days:g}d", days) for days in grid.half_lives] or [("", _default_half_life(recipe))]
    # A power of 0 is no class weight at all, and so no strategy beside unweighted training.
    powers = [(f"_{power:g}", power) for power in grid.class_powers if power] or [("", 1.0)]
    recency = [
        _Variant(suffix, f"half-life {number(days)} days", {"half_life_days": days}) for suffix, days in half_lives
    ]
    classes = [
        _Variant(suffix, _power_text(power), {"class_weight": "balanced", "class_power": power})
        for suffix, power in powers
    ]
    sampling = _sampling_factor(positive_ratio)
    share, copies = float(f"{1 / sampling:.2g}"), round(sampling)  # numbers that one would write into a recipe
    return {
        UNWEIGHTED: [_Variant("", "every row alike", {})],
        "recency": recency,
        "class_weights": classes,
        "downsampling": [_Variant("", f"{percent(share)} of the negatives", {"negative_share": share})],
        "oversampling": [_Variant("", f"each positive {copies} times", {"positive_copies": copies})],
        "focal": [_Variant("", f"focal loss, γ = {FOCAL_GAMMA:g}", {}, loss="focal")],
        "recency_class": [_both(old, rare) for old in recency for rare in classes],
    }


def _both(one: _Variant, other: _Variant) -> _Variant:
    """Join two variants, one of recency and one of class weights."""
    weighing: _Weighing = {**one.weighing, **other.weighing}
    return _Variant(one.suffix + other.suffix, f"{one.message}, {other.message}", weighing)


def _strategy(name: str, variant: _Variant, recipe: Recipe) -> Strategy:
    """Make a strategy of the recipe without any weights, sampling or loss but the variant's."""
    plain = {"half_life_days": NO_RECENCY_DAYS, "class_weight": "none", "cap": 0.0, "offset": True}
    plain |= {"negative_share": 1.0, "positive_copies": 1, "normalise": True}
    gamma = FOCAL_GAMMA if variant.loss == "focal" else recipe.training.focal_gamma
    sections = {
        "weights": recipe.row_weights.model_copy(update={**plain, **variant.weighing}),
        "training": recipe.training.model_copy(update={"loss": variant.loss, "focal_gamma": gamma}),
    }
    changed = recipe.model_copy(update=sections)
    as_it_trains = recipe.model_copy(update={"weights": recipe.row_weights})
    changes = {
        f"{section}.{key}": value
        for section in sections
        for key, value in changed.model_dump(mode="json")[section].items()
        if value != as_it_trains.model_dump(mode="json")[section][key]
    }
    return Strategy(name, variant.message, changed, changes)


def _has_recency(recipe: Recipe) -> bool:
    """Return True if a row's age makes a difference; at a hundred windows' half-life it is one of less than 1 %."""
    return recipe.row_weights.half_life_days < 100 * recipe.training.window_days


def _default_half_life(recipe: Recipe) -> float:
    """Return the recipe's half-life in days, or half a window where it has none to speak of."""
    return recipe.row_weights.half_life_days if _has_recency(recipe) else recipe.training.window_days / 2


def _sampling_factor(positive_ratio: float) -> float:
    """Return the factor by which sampling has to raise the odds of a positive."""
    odds, target = positive_ratio / (1 - positive_ratio), TARGET_SHARE / (1 - TARGET_SHARE)
    return max(LEAST_SAMPLING, target / odds) if odds else LEAST_SAMPLING


def _power_text(power: float) -> str:
    """Describe balanced class weights that are raised to a power."""
    return "classes balanced" if power == 1 else f"classes balanced to the power of {power:g}"


def _class_weighing(weights: Weights) -> tuple[ClassWeight, float, float | None] | None:
    """Return all that class weights depend on, to compare two recipes by; None where classes weigh alike."""
    if weights.class_weight == "none" or weights.class_power == 0:
        return None
    kind = "balanced" if weights.class_weight == "auto" else weights.class_weight
    return kind, weights.class_power, weights.class_beta if kind == "effective_number" else None


def _train_alike(one: Recipe, other: Recipe) -> bool:
    """Return True if two recipes train alike; keys that their kind of class weight doesn't read don't matter."""
    if _class_weighing(one.weights) != _class_weighing(other.weights):
        return False
    same = {"class_weight": "none", "class_power": 1.0, "class_beta": 0.0}
    weights = [recipe.row_weights.model_copy(update=same) for recipe in (one, other)]
    return weights[0] == weights[1] and one.training == other.training
