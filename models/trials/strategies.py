"""Ways to train on the same rows, which `compare` sets side by side. Each is the recipe with other weights, no more.

Unweighted training is what all others are measured against. Downsampling keeps so many negatives, and oversampling
repeats positives so often, that TARGET_SHARE of the streamed rows are positives. Focal loss has the γ = 2 of Lin et al.
2017, "Focal Loss for Dense Object Detection", section 4.1, and no α, which would be a class weight. All of them invert
what they do exactly, save the recipe's own where it doesn't, so that probabilities are compared, not scales.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.number_format import number, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.weights_section import Weights

UNWEIGHTED, OWN = "unweighted", "own"
# Families in the order in which equally simple ones are preferred.
FAMILIES = (
    UNWEIGHTED, "recency", "class_weights", "downsampling", "oversampling", "focal", "recency_class", OWN
)  # fmt: skip
TARGET_SHARE = 0.1  # of positives, among the rows that are streamed
LEAST_SAMPLING = 2  # the classes' ratio moves at least so much, also where positives are no longer rare
FOCAL_GAMMA = 2.0
NO_RECENCY_DAYS = 1e6  # a half-life beside which no window is old


@dataclass(frozen=True)
class Grid:
    """Half-lives in days and powers of the class weight to try; with none given, the recipe's half-life and power 1.

    Raises UsageError for a half-life that isn't positive and for a power outside 0 to 1.
    """

    half_lives: tuple[float, ...] = ()
    class_powers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no recipe could say."""
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
    """A way to train. changes: what its recipe sets otherwise than the recipe that it comes from, key → value.

    own: it is the recipe as it stands.
    """

    name: str
    words: str
    recipe: Recipe
    changes: dict[str, Any]
    own: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without the recipe."""
        return {"name": self.name, "words": self.words, "changes": self.changes, "own": self.own}

    @property
    def mechanisms(self) -> int:
        """How many things a reader of its recipe has to understand: the fewer, the simpler."""
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


def refuse_unknown(wanted: Sequence[str]) -> None:
    """Raise UsageError for a name that is no family's."""
    if unknown := [name for name in wanted if name not in FAMILIES]:
        msg = f"--strategies: expected some of {', '.join(FAMILIES)}, received {unknown[0]!r}"
        raise UsageError(msg)


def strategies(recipe: Recipe, grid: Grid, positive_ratio: float, wanted: Sequence[str] = ()) -> list[Strategy]:
    """The wanted families' strategies (none named: all), the simplest first, which is always unweighted training.

    Of two that are equally simple, that of the earlier family comes first. The recipe's own is there once, under its
    family's name where it is in one. positive_ratio: of the training rows. Raises UsageError for an unknown name.
    """
    refuse_unknown(wanted)
    varied = _catalogue(recipe, grid, positive_ratio)
    listed = [
        _variant(family + name, words, recipe, **keys)
        for family in FAMILIES
        if family in varied and (family == UNWEIGHTED or not wanted or family in wanted)
        for name, words, keys in varied[family]
    ]
    if not wanted or OWN in wanted:
        own = Strategy(OWN, "the recipe as it stands", recipe, {}, own=True)
        same = [_alike(strategy.recipe, recipe) for strategy in listed]
        listed = [replace(strategy, own=alike) for strategy, alike in zip(listed, same, strict=True)]
        listed += [] if any(same) else [own]
    return sorted(listed, key=lambda strategy: strategy.mechanisms)  # a stable sort


def _catalogue(recipe: Recipe, grid: Grid, positive_ratio: float) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Family → what it varies in a name, in words, and as the recipe's keys."""
    half_lives = [(f"_{days:g}d", days) for days in grid.half_lives] or [("", _usual_half_life(recipe))]
    powers = [(f"_{power:g}", power) for power in grid.class_powers if power] or [("", 1.0)]
    recency = [(name, f"half-life {number(days)} days", {"half_life_days": days}) for name, days in half_lives]
    classes = [(name, _in_words(power), {"class_weight": "balanced", "class_power": power}) for name, power in powers]
    sampling = _sampling(positive_ratio)
    share, copies = float(f"{1 / sampling:.2g}"), round(sampling)
    return {
        UNWEIGHTED: [("", "every row alike", {})],
        "recency": recency,
        "class_weights": classes,
        "downsampling": [("", f"{percent(share)} of the negatives", {"negative_share": share})],
        "oversampling": [("", f"each positive {copies} times", {"positive_copies": copies})],
        "focal": [("", f"focal loss, γ = {FOCAL_GAMMA:g}", {"loss": "focal"})],
        "recency_class": [
            (name + other, f"{words}, {others_words}", {**keys, **others_keys})
            for name, words, keys in recency
            for other, others_words, others_keys in classes
        ],
    }


def _variant(name: str, words: str, recipe: Recipe, loss: str = "cross_entropy", **weights: Any) -> Strategy:
    """The recipe without any weights, sampling or loss but these."""
    plain = {"half_life_days": NO_RECENCY_DAYS, "class_weight": "none", "cap": 0.0, "offset": True}
    plain |= {"negative_share": 1.0, "positive_copies": 1, "normalise": True}
    gamma = FOCAL_GAMMA if loss == "focal" else recipe.training.focal_gamma
    sections = {
        "weights": recipe.weights.model_copy(update={**plain, **weights}),
        "training": recipe.training.model_copy(update={"loss": loss, "focal_gamma": gamma}),
    }
    variant = recipe.model_copy(update=sections)
    changes = {
        f"{section}.{key}": value
        for section in sections
        for key, value in variant.model_dump(mode="json")[section].items()
        if value != recipe.model_dump(mode="json")[section][key]
    }
    return Strategy(name, words, variant, changes)


def _has_recency(recipe: Recipe) -> bool:
    return recipe.weights.half_life_days < 100 * recipe.training.window_days


def _usual_half_life(recipe: Recipe) -> float:
    """The recipe's, or half a window where it has none to speak of."""
    return recipe.weights.half_life_days if _has_recency(recipe) else recipe.training.window_days / 2


def _sampling(positive_ratio: float) -> float:
    """How many times as high the odds of a positive have to become."""
    odds, target = positive_ratio / (1 - positive_ratio), TARGET_SHARE / (1 - TARGET_SHARE)
    return max(LEAST_SAMPLING, target / odds) if odds else LEAST_SAMPLING


def _in_words(power: float) -> str:
    return "classes balanced" if power == 1 else f"classes balanced to the power of {power:g}"


def _class_weighing(weights: Weights) -> Any:
    """How classes are weighed, None where they weigh alike."""
    if weights.class_weight == "none" or weights.class_power == 0:
        return None
    kind = "balanced" if weights.class_weight == "auto" else weights.class_weight
    return kind, weights.class_power, weights.class_beta if kind == "effective_number" else None


def _alike(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes train alike: what no class weight reads of them doesn't matter."""
    if _class_weighing(one.weights) != _class_weighing(other.weights):
        return False
    same = {"class_weight": "none", "class_power": 1.0, "class_beta": 0.0}
    weights = [recipe.weights.model_copy(update=same) for recipe in (one, other)]
    return weights[0] == weights[1] and one.training == other.training
