"""Columns that become features, of which kind, and those that are left out, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.models.data.schema import CONTRACT
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.multi_valued import MultiValued
from ctr_retrain.models.first_recipe.known_names import CODES, slug, words_of
from ctr_retrain.models.leaks.telling_names import telling_words
from ctr_retrain.models.recipe.column_names import GIVEN, GIVEN_PREFIXES
from ctr_retrain.models.recipe.recipe import NOT_FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ctr_retrain.models.first_recipe.column_look import ColumnLook
    from ctr_retrain.models.first_recipe.column_roles import Roles

CATEGORICAL, MULTI_VALUED = (str(kind.model_fields["kind"].default) for kind in (Categorical, MultiValued))
FEW_VALUES = 50  # integers with fewer different ones are mostly codes, and as such lose nothing
LARGE_CODE = 1_000_000  # integers from here on are hashes or keys
FREE_TEXT = 0.5  # different values to a row: a text that no other row has teaches nothing
SKEWED = 20.0  # largest to middle number: read by its logarithm
OF_OUR_OWN = {"ts", "channel", "event_id", *CONTRACT}  # a column of such a name would be taken for the mapped one


@dataclass(frozen=True)
class ChosenFeature:
    """An entry of [[features]], or a column that is left out of them."""

    name: str
    kind: str
    column: str  # among our columns; as landed where it is no mapped one
    keys: Mapping[str, str]  # further keys of the entry, as TOML
    about: str  # what the sample holds, as a comment
    left_out: str = ""  # the reason; empty: it is a feature


def decimal_mark(looks: Sequence[ColumnLook]) -> str:
    """Return the decimal mark of the file's numbers: a comma where no number has a point."""
    marks = {look.decimal for look in looks if look.decimal and not look.integers}
    return "," if marks == {","} else "."


def choose_features(looks: Sequence[ColumnLook], roles: Roles) -> tuple[ChosenFeature, ...]:
    """Return each column that says something of its own, as a feature or with the reason against it."""
    decimal = decimal_mark(looks)
    mapped = {roles.user_id: "user_id", roles.campaign_id: "campaign_id", roles.channel: "channel"}
    taken: set[str] = {"hour", "weekday"} if roles.time.has_hours else {"weekday"}
    chosen, sources = [], {"ts", "channel", "event_id", *(ours for landed, ours in mapped.items() if landed)}
    for look in looks:
        if look.name in {roles.ts, roles.event_id, *roles.known_later}:
            continue
        column = mapped.get(look.name, look.name)
        reason = "" if look.name in mapped else _reason(look, sources, decimal)
        kind, keys = (CATEGORICAL, {}) if look.name in mapped else _kind(look)
        name = _own_name(look.name, taken)
        chosen.append(ChosenFeature(name, kind, column, keys, _about(look), reason))
        if not reason:
            taken.add(name)
            sources.add(column.lower())
    return tuple(chosen)


def _reason(look: ColumnLook, sources: Iterable[str], decimal: str) -> str:
    """Say why a column is no feature; empty where it is one. decimal: the mark of the file's numbers."""
    lower, words, many = look.name.lower(), telling_words(look.name), look.distinct > FREE_TEXT * look.rows
    reasons = {
        f"a column of ours is called {lower!r}; rename yours to make it a feature": (
            lower in NOT_FEATURES or lower in OF_OUR_OWN
        ),
        "its name is another column's, but for case; rename it to make it a feature": (
            lower in sources or lower in GIVEN or lower.startswith(GIVEN_PREFIXES)
        ),
        "objects, whose values are columns of their own, or lists of objects, which are none": look.nested,
        "always empty": not look.distinct,
        "one value only": look.distinct == 1,
        "numbers with a decimal comma, beside others with a point; export all with one": (
            look.decimal not in {"", decimal} and not look.integers
        ),
        "a time; what counts of it is its distance to the impression's, as a number": look.time is not None,
        f"known only afterwards, it seems: its name has {' and '.join(map(repr, words))} in it": bool(words),
        "a text of its own on most rows": many and not (look.decimal or look.list_delimiter),
        "a key of its own on most rows": many and look.integers and _is_code(look),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _kind(look: ColumnLook) -> tuple[str, dict[str, str]]:
    """Return the kind of a column's feature, with the keys that it needs."""
    if look.list_delimiter:
        return MULTI_VALUED, {} if look.list_delimiter == "|" else {"delimiter": f'"{look.list_delimiter}"'}
    if not look.numbers or look.is_flag or _is_code(look) or (look.integers and look.distinct <= FEW_VALUES):
        return CATEGORICAL, {}
    middle = look.numbers[len(look.numbers) // 2]
    skewed = look.numbers[0] >= 0 and look.numbers[-1] > SKEWED * max(middle, 1)
    return "numeric", {"transform": '"log"'} if skewed else {}


def _is_code(look: ColumnLook) -> bool:
    """Tell whether numbers are names of things rather than amounts: by the column's name, or by their size."""
    named = bool(CODES & set(words_of(look.name))) or look.name.lower().endswith("id")
    anonymous = len(look.name) <= 3 and look.name[:1].isalpha() and look.name[1:].isdigit()  # such as C14
    return named or anonymous or (look.integers and abs(look.numbers[-1]) >= LARGE_CODE)


def _own_name(column: str, taken: Iterable[str]) -> str:
    """Return a name that no other feature has."""
    name = first = slug(column, "column")
    number = 2
    while name in taken:
        name, number = f"{first}_{number}", number + 1
    return name


def _about(look: ColumnLook) -> str:
    """Say what the sample holds of a column."""
    values = f"{look.distinct:,} values" if look.distinct != 1 else "one value"
    empty = "" if look.filled_share == 1 else f", {1 - look.filled_share:.1%} empty"
    if look.numbers and not look.is_flag:
        return f"{values} from {look.numbers[0]:g} to {look.numbers[-1]:g}{empty}"
    most = ", ".join(value[:20] for value in list(look.filled)[:3])
    return f"{values}{empty}: {most}"
