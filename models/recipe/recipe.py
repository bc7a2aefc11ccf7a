"""The recipe: what to train and how to judge it. One TOML file, frozen, saved in every model.

Where things are (root, landing zone, webhook) is not here but in the settings.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.feature_kinds.feature import JUDGING_KEYS
from ctr_retrain.models.feature_kinds.fingerprints import sharing_mistakes
from ctr_retrain.models.feature_kinds.kinds import RecipeFeature, kinds_that_hold
from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.mistakes import refuse, sentences_on
from ctr_retrain.models.recipe.channel_section import Channel
from ctr_retrain.models.recipe.column_names import name_mistakes, slice_columns, slice_mistakes
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.head_section import head_mistakes
from ctr_retrain.models.recipe.landing_section import Columns, Landing
from ctr_retrain.models.recipe.network_file import read_network_source
from ctr_retrain.models.recipe.retention_section import Retention
from ctr_retrain.models.recipe.shipped_recipes import find_recipe, unreadable_recipe
from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.recipe.validation_section import DRIFT_BEFORE, Drift, Validation
from ctr_retrain.models.recipe.warm_start_section import WarmStart
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.section import Name, Section

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def currency_name(name: str) -> str:
    """Raise ValueError unless it is empty or looks like a currency of ISO 4217."""
    if name and not (len(name) == 3 and name.isascii() and name.isalpha() and name.isupper()):
        msg = "expected three capitals such as EUR"
        raise ValueError(msg)
    return name


class Recipe(Section):
    """The whole recipe. Two recipes with equal digests train and judge alike."""

    name: Name
    """Name of the recipe; one root serves one name."""
    currency: Annotated[str, AfterValidator(currency_name)] = ""
    """Currency of all costs and of the gate's bounds on them, three capitals such as `EUR`. Empty: each run warns that
    its money has no name; required where a cost names the impression's `value`."""
    landing: Landing = Landing()
    """How landed files are read."""
    channels: dict[Name, Channel] = Field(min_length=1)
    """A section for each channel."""
    features: tuple[RecipeFeature, ...] = Field(min_length=1)
    """Inputs of the network."""
    training: Training = Training()
    """Days, network, learning."""
    warm_start: WarmStart = WarmStart()
    """Starting from the champion."""
    weights: Weights = Weights()
    """Weights and sampling."""
    validation: Validation = Validation()
    """Hygiene of a day."""
    drift: Drift = Drift()
    """When to alert."""
    alerts: Alerts = Alerts()
    """Incidents, and which keep days out of training."""
    gate: Gate
    """What a challenger has to show."""
    retention: Retention = Retention()
    """What `gc` keeps."""

    @property
    def row_weights(self) -> Weights:
        """The weights with the half-life that holds: where the recipe has none, half of the training window."""
        half_life_days = self.weights.half_life_days or self.training.window_days / 2
        return self.weights.model_copy(update={"half_life_days": half_life_days})

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        """Raise ValueError with all mistakes that one section alone can't see."""
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            msg = f"features: expected different names, received {sorted(n for n in names if names.count(n) > 1)}"
            raise ValueError(msg)
        refuse(self._mistakes())
        return self

    def _mistakes(self) -> Iterator[str]:
        """Find contradictions between the sections, each as a sentence."""
        yield from self._feature_mistakes()
        yield from self._channel_mistakes()
        yield from self._column_mistakes()
        yield from self._price_mistakes()
        yield from self._guardrail_mistakes()
        yield from self._head_mistakes()

    def _feature_mistakes(self) -> Iterator[str]:
        """Find features that contradict each other, or that read what is known only after the decision."""
        yield from sharing_mistakes(self.features)
        kinds: dict[str, set[str]] = {}
        held: dict[str, set[str]] = {}
        for feature in self.features:
            for source in feature.sources:
                kinds.setdefault(source, set()).add(feature.kind)
                held.setdefault(source, set()).add(feature.holds)
        if mixed := [source for source, found in held.items() if {"text", "number"} <= found]:
            yield f"features: expected one kind a column, received categorical and numeric for {mixed}"
        delimiters = {
            (source, feature.list_delimiter)
            for feature in self.features
            for source in feature.sources
            if feature.list_delimiter
        }
        if several := [source for source, n in Counter(source for source, _ in delimiters).items() if n > 1]:
            yield f"features: expected one delimiter a column, since it joins lists, received several for {several}"
        mapped = {getattr(self.landing.columns, name) for name in NOT_FEATURES & Columns.model_fields.keys()}
        known_later = NOT_FEATURES | mapped | set(self.landing.inline_outcome_columns)
        if leaks := [source for source in kinds if source in known_later]:
            yield f"features: {leaks} is known only after or outside the decision and can't be a feature"
        clocks = kinds_that_hold("time")
        timed = {source for source, found in held.items() if "time" in found}
        if strange := sorted(timed - {"ts"}) or sorted(kinds.get("ts", set()).difference(clocks)):
            yield f"features: expected {' and '.join(clocks)} of ts, and nothing else of it, received {strange}"

    def _channel_mistakes(self) -> Iterator[str]:
        """Find channels that no row would have, rows without a channel, and a gate without any."""
        constant = self.landing.channel_constant
        if constant and set(self.channels) != {constant}:
            yield f"channels: expected only {constant!r} (landing.channel_constant), received {sorted(self.channels)}"
        if not constant and not self.landing.columns.channel:
            yield "landing: expected columns.channel or channel_constant, received neither"
        if not any(channel.gated for channel in self.channels.values()):
            yield "channels: expected at least one with gated = true"

    def _column_mistakes(self) -> Iterator[str]:
        """Find names of columns that clash."""
        mapped = [name for name in Columns.model_fields if getattr(self.landing.columns, name)]
        more = [
            *(source for feature in self.features for source in feature.sources),
            *self.validation.max_null_share,
            *self.validation.value_sets,
        ]
        yield from name_mistakes(["event_id", "channel", *mapped], more, self.kinds)
        yield from slice_mistakes(self.drift, self.landing.columns, self.features, self.validation)

    def _price_mistakes(self) -> Iterator[str]:
        """Find prices that name a value which no column holds, or whose currency nobody said."""
        named = [name for name, channel in self.channels.items() if channel.cost.names_value]
        if named and not self.landing.columns.value:
            yield f"landing.columns.value: expected your column, which a cost of {named} names, received none"
        if named and not self.currency:
            yield f"currency: expected that of the values and of all costs, such as EUR, for {named}, received none"

    def _guardrail_mistakes(self) -> Iterator[str]:
        """Find guardrails of kinds that no gated channel labels."""
        kinds = {kind for channel in self.channels.values() if channel.gated for kind in channel.windows_hours}
        known = set() if self.inline_label else kinds
        if strange := sorted(self.gate.guardrails.keys() - known):
            yield (
                f"gate.guardrails: expected kinds that a gated channel labels (more_kinds; here {sorted(known)}), "
                f"received {strange}"
            )

    def _head_mistakes(self) -> Iterator[str]:
        """Find heads without a label to learn, and options that don't go with heads."""
        training = self.training
        if training.heads and self.inline_label:
            yield "training.heads: expected labels from outcomes, received an inline label (landing.columns.label)"
        elif training.heads and training.ship == "fresh":
            yield "training.ship: expected evaluated where there are training.heads, received 'fresh'"
        elif training.heads and training.loss == "focal":
            yield "training.loss: expected cross_entropy where there are training.heads, received 'focal'"
        else:
            oldest_days = self.maturity_days + training.validation_days + training.window_days - 1
            yield from head_mistakes(training.heads, self.final_ages, oldest_days)

    @property
    def final_ages(self) -> dict[str, dict[str, int]]:
        """Return channel → kind, the positive one first → the age in days from which on its label doesn't change."""
        grace = self.landing.grace_days
        return {
            name: {kind: ceil(hours / 24) + grace for kind, hours in channel.windows_hours.items()}
            for name, channel in self.channels.items()
        }

    @property
    def confirmed(self) -> tuple[str, ...]:
        """Return the names of the features that are said to be known before the decision."""
        return tuple(feature.name for feature in self.features if feature.known_before)

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """Return the columns whose values are counted each day."""
        return slice_columns(self.drift, self.landing.columns, self.features, self.validation)

    @property
    def inline_label(self) -> bool:
        """Return True if the label stands in the impression itself."""
        return bool(self.landing.columns.label)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return every kind of outcome that some channel labels; none where the label stands in the impression."""
        if self.inline_label:
            return ()
        return tuple(dict.fromkeys(kind for channel in self.channels.values() for kind in channel.windows_hours))

    @property
    def maturity_days(self) -> int:
        """Return the whole days until labels of all gated channels are final: m of the day plan."""
        if self.inline_label:
            return self.landing.grace_days
        gated = [c for c in self.channels.values() if c.gated]
        return max(ceil(c.attribution_window_hours / 24) for c in gated) + self.landing.grace_days

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the recipe's content, 16 hex digits.

        Comments, key order, the currency's name, retention, confirmed features, when there is a yardstick or a twin,
        drift by slices, what people are told, and whether what was judged is recalibrated before it serves don't count.
        """
        return _digest(self._counted())

    @property
    def training_digest(self) -> str:
        """Return the SHA-256 of what trains alone, 16 hex digits: a refresh of the champion has the champion's.

        The digest's content without what judges, validates and watches, without prices, which a decision rests on and
        no model, without columns that only judging reads, and without the seed.
        """
        content = self._counted()
        for section in ("gate", "drift", "validation", "alerts"):
            content.pop(section, None)
        for channel in content["channels"].values():
            del channel["cost"], channel["positive_ratio"]
        for key in ("seed", "min_positives"):
            del content["training"][key]
        sources = {source for feature in self.features for source in feature.sources}
        for column in JUDGING_COLUMNS - sources:
            content["landing"]["columns"][column] = ""  # as in a recipe that doesn't map it
        return _digest(content)

    def _counted(self) -> dict[str, Any]:
        """Return the content that the digest counts."""
        unasked, unheard = {"yardstick_every", "seed_twin_every"}, set(Alerts.model_fields) - {"holds_training"}
        uncounted = {"training": unasked, "drift": set(Drift.model_fields) - set(DRIFT_BEFORE), "alerts": unheard}
        content = self.model_dump(mode="json", exclude={"retention": True, "currency": True, **uncounted})
        content["drift"] |= {key: DRIFT_BEFORE[key] for key in DRIFT_BEFORE.keys() - self.drift.model_fields_set}
        if not self.alerts.holds_training:  # as in recipes of before, which had no such section
            del content["alerts"]
        if self.training.ship == "recalibrated":
            content["training"]["ship"] = "evaluated"  # trained and judged alike
        for feature in content["features"]:
            for key in JUDGING_KEYS:
                feature.pop(key, None)
        if not content["training"]["ensemble"]:  # as in recipes of before, whose refresh shall stay one
            del content["training"]["ensemble"]
        for section, keys in LATER_KEYS.items():
            own = getattr(self, section)
            for key in keys:
                if getattr(own, key) == type(own).model_fields[key].default:
                    del content[section][key]
        return content


def _digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of JSON content whatever its order, 16 hex digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


# Keys that came after recipes were digested: one that has its default is as if it weren't there, so that a recipe of
# before keeps its digest.
LATER_LANDING_KEYS = (
    "outcome_time null_values delimiter decimal early_minutes day_zone missing_campaign outcome_kind event_log"
)
LATER_KEYS = {
    "landing": frozenset(LATER_LANDING_KEYS.split()),
    "training": frozenset({"linear_share", "campaign_sd"}),
    "validation": frozenset({"min_attributed_share", "max_unreadable_share"}),
    "gate": frozenset(
        {
            *("slice_calibration_ratio", "slice_min_positives", "max_slice_cost_delta_per_1000"),
            *("false_slice_vetoes_per_year", "found_segments_veto", "guardrails"),
            *("anchor_days", "stale_days", "false_changes_per_year", "auto_rollback", "refresh_champion"),
        }
    ),
}

# Columns that are kept for judging, and train nothing where no feature reads them.
JUDGING_COLUMNS = frozenset({"value", "propensity", "explore", "served_probability", "model_version"})

# Known only after the decision (or only to the logger), so never an input of the model.
NOT_FEATURES = frozenset(
    {"event_id", "label", "propensity", "explore", "served_probability", "model_version", "confidence", "probability"}
)

# Sections by which rows are read, and what else a recipe needs.
READING = frozenset({"landing", "channels", "features", "validation"})
STAND_IN = {"name": "any", "gate": {"max_cost_delta_per_1000": 1, "max_channel_cost_delta_per_1000": 1}}

# Keys that users know from other software and expect here, each with the reason why there is none.
REFUSED_KEYS = {
    "training.validation_split": (
        "validation is by time, on the days after those trained on (training.validation_days). A random split puts "
        "rows of the same hours, users and campaigns on both sides, and what changes with time (hour, weekday, a "
        "campaign's age) then seems to foretell what it only recalls"
    )
}


def load_recipe(given: Path) -> Recipe:
    """Read and check a recipe, given by its path or by the name of a shipped one.

    Raises UsageError with key, expected and received of each mistake.
    """
    path = find_recipe(given)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable_recipe(path, error.strerror or str(error)) from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"recipe {path}: expected TOML, received: {error}"
        raise UsageError(msg) from error
    try:
        # By way of JSON, where pydantic's strict mode takes arrays for tuples: "14" is no number of days.
        recipe = Recipe.model_validate_json(json.dumps(raw, default=str), strict=True)
        return _with_network_source(recipe, path.parent)
    except ValidationError as error:
        lines = _sentences(raw, error)
    except ValueError as error:
        lines = [str(error)]
    msg = f"recipe {path}: " + "; ".join(lines)
    raise UsageError(msg, recipe_errors=lines)


def _sentences(raw: dict[str, Any], error: ValidationError) -> list[str]:
    """Say all that is wrong with a recipe, contradictions that its wrong sections hide from pydantic among it."""
    lines = sentences_on(error.errors(), REFUSED_KEYS)
    wrong = {problem["loc"][0] for problem in error.errors() if problem["loc"]}
    if wrong and not wrong & READING:
        # Whatever the others say, these sections agree with one another or don't.
        alone = {name: raw[name] for name in READING & raw.keys()} | STAND_IN
        try:
            Recipe.model_validate_json(json.dumps(alone, default=str), strict=True)
        except ValidationError as hidden:
            lines += sentences_on(hidden.errors(), REFUSED_KEYS)
    return list(dict.fromkeys(lines))


def _with_network_source(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with the text of its network's file, where it names one."""
    training = recipe.training
    if training.network_source is not None:
        msg = "training.network_source: expected no such key; name the file, as training.network = 'FILE.py:FUNCTION'"
        raise ValueError(msg)
    source = read_network_source(training.network, folder)
    return recipe.model_copy(update={"training": training.model_copy(update={"network_source": source})})
