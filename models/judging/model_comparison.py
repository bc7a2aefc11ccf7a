"""Challenger and champion side by side: each metric of both, their difference, and which of them is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ctr_retrain.models.number_format import fixed, signed

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Cost, Recipe

Goal = Literal["higher", "lower", "nearer to 1"]

# Metrics in the order in which they are shown: key, words, digits, and which way is better.
METRICS: tuple[tuple[str, str, int, Goal], ...] = (
    ("auc", "AUC", 4, "higher"),
    ("pr_auc", "PR AUC", 4, "higher"),
    ("log_loss", "Log loss, nats per impression", 5, "lower"),
    ("normalized_entropy", "Normalized entropy", 4, "lower"),
    ("calibration_ratio", "Calibration ratio, predicted to seen", 3, "nearer to 1"),
    ("cost_per_1000", "Cost per 1,000 impressions", 2, "lower"),
)


@dataclass(frozen=True)
class ComparedFigure:
    """One metric of both models, ready to be shown. better: None where there is no difference or nothing to compare."""

    words: str
    challenger: str
    opponent: str
    difference: str
    better: bool | None


@dataclass(frozen=True)
class ComparedBlock:
    """The figures of all rows (channel None) or of one channel's; what sending all or none costs per 1,000."""

    channel: str | None
    rows: int
    positives: int
    figures: tuple[ComparedFigure, ...]
    send_all: float | None
    send_none: float | None


def opponent_of(evaluation: dict[str, Any]) -> str | None:
    """What the challenger was compared with: champion, constant, or None where nothing could be scored."""
    return next((name for name in ("champion", "constant") if name in evaluation["metrics"]), None)


def compare(evaluation: dict[str, Any], recipe: Recipe) -> list[ComparedBlock]:
    """A block for all rows of an evaluation's metrics, then one a channel."""
    challenger = evaluation["metrics"]["challenger"]
    opponent = evaluation["metrics"].get(opponent_of(evaluation), {"by_channel": {}})
    sends = (evaluation["send_all_per_1000"], evaluation["send_none_per_1000"])
    return [
        _block(None, challenger, opponent, sends),
        *(
            _block(name, block, opponent["by_channel"].get(name, {}), send_everything_or_nothing(block, recipe, name))
            for name, block in challenger["by_channel"].items()
        ),
    ]


def send_everything_or_nothing(
    block: dict[str, Any], recipe: Recipe, channel: str
) -> tuple[float | None, float | None]:
    """Cost per 1,000 impressions of a channel if everything is sent, and if nothing is; None without rows."""
    if not block["rows"]:
        return None, None
    cost: Cost = recipe.channels[channel].cost
    ratio = block["positives"] / block["rows"]
    send_all = ratio * cost.true_positive + (1 - ratio) * cost.false_positive
    send_none = ratio * cost.false_negative + (1 - ratio) * cost.true_negative
    return 1000 * send_all, 1000 * send_none


def _block(
    channel: str | None,
    challenger: dict[str, Any],
    opponent: dict[str, Any],
    sends: tuple[float | None, float | None],
) -> ComparedBlock:
    figures = tuple(
        _figure(words, challenger[key], opponent.get(key), digits, goal) for key, words, digits, goal in METRICS
    )
    return ComparedBlock(channel, challenger["rows"], challenger["positives"], figures, *sends)


def _figure(words: str, ours: float | None, theirs: float | None, digits: int, goal: Goal) -> ComparedFigure:
    shown = (fixed(ours, digits), fixed(theirs, digits))
    if ours is None or theirs is None:
        return ComparedFigure(words, *shown, difference="", better=None)
    change = ours - theirs
    gain = {"higher": change, "lower": -change, "nearer to 1": abs(theirs - 1) - abs(ours - 1)}[goal]
    return ComparedFigure(words, *shown, signed(change, digits), None if round(gain, digits) == 0 else gain > 0)
