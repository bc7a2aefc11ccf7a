"""The registry of the kinds of features, and how a recipe's entry becomes the feature of its kind.

To add a kind, write its file beside the others and name its class in KINDS. docs/extending.md has an example, and
tests/unit/models/feature_kinds/test_kinds.py says what a kind lacks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import InitErrorDetails

from ctr_retrain.models.feature_kinds.bucketed import Bucketed
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import Hour, Weekday
from ctr_retrain.models.feature_kinds.crossed import Crossed
from ctr_retrain.models.feature_kinds.feature import FORMER_KEYS, Feature
from ctr_retrain.models.feature_kinds.multi_valued import MultiValued
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.section import Name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctr_retrain.models.feature_kinds.feature import Holds
KINDS: dict[str, type[Feature]] = {  # by the name that a recipe gives, in the order in which they are told
    kind.model_fields["kind"].default: kind
    for kind in (Categorical, MultiValued, Crossed, Numeric, Bucketed, Hour, Weekday)
}


def _of_its_kind(entry: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Feature:
    """Validate a recipe's entry as its kind does; a key of another kind is refused unless it has its default.

    A stored recipe holds such keys, all with their defaults (see FORMER_KEYS).
    """
    if not isinstance(entry, dict):
        feature: Feature = handler(entry)
        return feature
    kind = _kind_of(entry)
    foreign = _keys_of_all_kinds()
    for key in kind.model_fields:
        foreign.pop(key, None)
    own = {key: value for key, value in entry.items() if key not in foreign}
    context = {
        "foreign": sorted(key for key in entry.keys() & foreign if _written(entry[key]) != _written(foreign[key]))
    }
    if info.mode == "json":  # pydantic hands over what it read; only as JSON does its strict mode take lists for tuples
        return kind.model_validate_json(json.dumps(own), strict=True, context=context)
    return kind.model_validate(own, context=context)


RecipeFeature = Annotated[Feature, WrapValidator(_of_its_kind)]  # an entry of [[features]]
_ENTRY: TypeAdapter[Feature] = TypeAdapter(RecipeFeature)


def feature_of(document: Mapping[str, Any]) -> Feature:
    """Return the feature of an entry of [[features]]; raise ValidationError with each mistake in it."""
    return _ENTRY.validate_python(dict(document))


def kinds_that_hold(holds: Holds) -> tuple[str, ...]:
    """Return the names of the kinds whose columns hold texts, numbers or times."""
    return tuple(name for name, kind in KINDS.items() if kind.holds == holds)


def _kind_of(entry: dict[str, Any]) -> type[Feature]:
    """Return the entry's kind; raise ValidationError for none and for an unknown one."""
    if "kind" not in entry:
        problem = InitErrorDetails(type="missing", loc=("kind",), input=entry)
    elif isinstance(entry["kind"], str) and entry["kind"] in KINDS:
        return KINDS[entry["kind"]]
    else:
        *first, last = (repr(name) for name in KINDS)
        expected = {"expected": f"{', '.join(first)} or {last}"}
        problem = InitErrorDetails(type="literal_error", loc=("kind",), input=entry["kind"], ctx=expected)
    raise ValidationError.from_exception_data("Feature", [problem, *_problems_of_any_kind(entry)])


class _AnyKind(BaseModel):
    """The keys that a feature of every kind has."""

    model_config = ConfigDict(strict=True)

    name: Name
    known_before: bool = False


def _problems_of_any_kind(entry: dict[str, Any]) -> list[InitErrorDetails]:
    """Return what is wrong with an entry of whatever kind, so that its kind isn't the only mistake that is told."""
    try:
        _AnyKind.model_validate(entry)
    except ValidationError as error:
        return [
            InitErrorDetails(type=found["type"], loc=found["loc"], input=found["input"], ctx=found.get("ctx", {}))
            for found in error.errors()
        ]
    return []


def _keys_of_all_kinds() -> dict[str, Any]:
    """Return each kind's keys with their defaults."""
    own = {key: field.default for kind in KINDS.values() for key, field in kind.model_fields.items()}
    return own | FORMER_KEYS


def _written(value: Any) -> str:
    """Return a value as JSON, in which a list is a tuple and true is not 1."""
    return json.dumps(value, default=str)
