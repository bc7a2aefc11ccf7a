"""Where shipped recipes say otherwise than the defaults, and why: a part of the recipe's reference.

A default that no shipped recipe follows is no default that anybody could trust, so each difference has its reason here.
"""

from collections.abc import Iterator
from typing import Any

from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.recipe.shipped_recipes import shipped_recipes
from ctr_retrain.models.section import Section

HEAD = """## Where shipped recipes say otherwise

Shipped recipes have the defaults, save here; `[landing]`, `[channels]` and `currency` follow from their files.

| key | default | shipped recipe | why |
| --- | --- | --- | --- |"""
SMALL = "for the demonstration's 25,000 impressions a day; kept, since its published figures are of it"
SHORT = "the file has few days"
FEW_CLICKS = "250 clicks carry no more"
WHY = {
    "training.window_days": SHORT,
    "training.validation_days": "one day has too few positives to judge by",
    "training.calibration_share": "few positives: a larger slice steadies the intercept",
    "training.network": FEW_CLICKS,
    "training.embedding_dim": {"demo": SMALL, "open_bandit": FEW_CLICKS},
    "training.hidden_units": SMALL,
    "training.batch_rows": {"demo": SMALL, "open_bandit": "a pass of few rows needs more steps"},
    "training.learning_rate": SMALL,
    "training.embedding_learning_rate": SMALL,
    "training.embedding_initial_accumulator": SMALL,
    "training.min_positives": "its training windows hold few more",
    "weights.half_life_days": {
        "demo": "what 0 means for its window, written out",
        "open_bandit": "longer than its window: of so few clicks each counts",
    },
    "weights.class_weight": "its clicks are too few to weigh",
    "weights.class_power": SMALL,
    "validation.min_rows": "a whole day of the file has far more",
    "validation.min_hours": "nights without a row are usual there",
    "validation.max_hours_since_last_event": "its last hour is always, or not always, there",
    "validation.max_quarantined_share": "a file that somebody cleaned",
    "validation.max_duplicate_share": "a file that somebody cleaned",
    "validation.max_null_share": "shows the key; columns are the file's",
    "validation.value_sets": "shows the key; columns are the file's",
    "drift.history_days": SHORT,
    "drift.min_history_days": SHORT,
    "drift.min_effect": SMALL,
    "gate.max_log_loss_delta": "few rows: a wider bound for their noise",
    "gate.calibration_ratio": "few positives: a wider bound for their noise",
    "gate.min_rows": "the days that it judges by have fewer",
    "gate.min_positives": "the days that it judges by have fewer",
    "gate.bootstrap_draws": "few clicks need no finer interval",
}
BY_THE_FILE = ("currency", "landing", "channels", "features")


def write_differences() -> str:
    """The reference's last part."""
    rows = [
        f"| `{key}` | `{_shown(default)}` | `{name}`: `{_shown(value)}` | {_why(key, name)} |"
        for name, path in shipped_recipes().items()
        for key, default, value in differences(load_recipe(path))
    ]
    return "\n".join([HEAD, *sorted(rows), ""])


def differences(section: Section, above: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each key whose value isn't its default: key, default, value; none of what follows from the file."""
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if key in BY_THE_FILE and not above:
            continue
        if isinstance(value, Section):
            yield from differences(value, f"{above}{key}.")
        elif not field.is_required() and value != (default := field.get_default(call_default_factory=True)):
            yield f"{above}{key}", default, value


def _why(key: str, name: str) -> str:
    found = WHY.get(key, {})
    why = found if isinstance(found, str) else found.get(name, "")
    if not why:
        msg = f"{key} of {name}: say in WHY why a shipped recipe doesn't have the default, or give it the default"
        raise ValueError(msg)
    return why


def _shown(value: Any) -> str:
    """A value nearly as a recipe says it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_shown(part)}' for key, part in value.items())} }}" if value else "{}"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
