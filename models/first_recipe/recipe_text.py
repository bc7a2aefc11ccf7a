"""The text of a first recipe: TOML that is read as it stands, with a comment wherever the file alone can't decide."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.number_format import percent
from ctr_retrain.models.recipe.recipe import currency_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ctr_retrain.models.first_recipe.column_roles import Roles
    from ctr_retrain.models.first_recipe.day_numbers import DayNumbers, SeenDelays
    from ctr_retrain.models.first_recipe.feature_choice import ChosenFeature

REFRESH_MARGIN = 0.05  # of what sending to everybody costs: the gate's non-inferiority margin
COMMENT_WIDTH = 118
MADE_UP_START = date(2020, 1, 1)  # of times that count from a day that the file doesn't say


@dataclass(frozen=True)
class Prices:
    """The two prices that no file tells, in one currency, and its name."""

    cost_send: float  # of showing or sending one impression
    value_click: float  # of one positive
    currency: str = ""  # three capitals; empty where nobody said it

    @classmethod
    def of(cls, cost_send: float, value_click: float, currency: str = "") -> Prices:
        """Return prices by which sending is a choice; raises UsageError for others."""
        if not (isfinite(value_click) and 0 < cost_send < value_click):
            msg = (
                "--cost-send and --value-click: expected a cost above 0 and a value above that cost, received "
                f"{cost_send:g} and {value_click:g}. Otherwise everything is sent, or nothing, whatever a model says."
            )
            raise UsageError(msg)
        try:
            return cls(cost_send, value_click, currency_name(currency))
        except ValueError as error:
            msg = f"--currency: {error}, received {currency!r}"
            raise UsageError(msg) from error

    @property
    def break_even(self) -> float:
        """The positive ratio at which sending to everybody neither earns nor costs."""
        return self.cost_send / self.value_click


@dataclass(frozen=True)
class FirstRecipe:
    """All that a first recipe says."""

    name: str
    source: str  # file that was looked at
    roles: Roles
    positive_kind: str
    features: Sequence[ChosenFeature]
    leaks: Mapping[str, str]  # feature → why it seems to be known only afterwards
    numbers: DayNumbers
    delays: SeenDelays | None
    seen_rate: float
    prices: Prices
    unsure: Sequence[str]
    delimiter: str = ""  # of CSV; empty: comma or tab
    decimal: str = "."  # mark of numbers that are written as texts


def write_recipe(recipe: FirstRecipe) -> str:
    """Return the recipe as TOML."""
    blocks = [
        _head(recipe),
        _landing(recipe),
        *_channels(recipe),
        *(_feature(feature, recipe.leaks.get(feature.name, "")) for feature in recipe.features),
        _clock(recipe.roles),
        _training(recipe.numbers),
        _validation(recipe.numbers),
        _gate(recipe),
        [
            "[retention]",
            f"runs_days = {recipe.numbers.runs_days}  # how long runs, and the days that they rest on, are kept",
        ],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def quoted(text: str) -> str:
    """Write a text as TOML does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str, indent: str = "# ") -> list[str]:
    """Write a comment, in lines; what TOML allows in none is left out."""
    return textwrap.wrap(
        _plain(text), COMMENT_WIDTH, initial_indent=indent, subsequent_indent="# ", break_long_words=False
    )


def _plain(text: str) -> str:
    """Return a text as it may stand in a comment."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _head(recipe: FirstRecipe) -> list[str]:
    """Write what was looked at, and what to check."""
    lines = _comment(f"A first recipe for {recipe.source}, from a look at it. docs/recipe.md has every key.")
    lines += _comment(
        "Keys that say `required` have to stay, as have name and kind of each feature; others have defaults."
    )
    if recipe.unsure:
        lines.append("# To be checked:")
        lines += [line for doubt in recipe.unsure for line in _comment(doubt, "# - ")]
    named = recipe.prices.currency
    currency = f"currency = {quoted(named)}" if named else '# currency = "EUR"'
    return [
        *lines,
        "",
        f"name = {quoted(recipe.name)}  # required; one root serves one name",
        f"{currency}  # of all costs, and of the bounds on them{'' if named else '; each run warns until it is said'}",
    ]


def _landing(recipe: FirstRecipe) -> list[str]:
    """Write [landing] and its sections."""
    roles = recipe.roles
    lines = ["[landing]", f"time = {quoted(roles.time.written)}"]
    if roles.from_start:
        lines.append(f"origin = {MADE_UP_START}  # the day of second 0, which the file doesn't say")
    lines.append("late_days = 0  # a file that `land` splits by day has nothing late; with a nightly export: 1")
    if recipe.delimiter:
        lines.append(f"delimiter = {quoted(recipe.delimiter)}")
    if recipe.decimal != ".":
        lines.append(f"decimal = {quoted(recipe.decimal)}")
    if roles.event_ids:
        lines.append(f"event_id_columns = [{', '.join(map(quoted, roles.event_ids))}]")
    else:
        lines.append('event_id_from = "file_row"')
    lines += _outcome_keys(roles)
    if not roles.channel:
        lines.append(f"channel_constant = {quoted(roles.channel_names[0])}  # the file has no column for the channel")
    lines += ["", "[landing.columns]  # our name = the file's"]
    mapped = {"ts": roles.ts, "user_id": roles.user_id, "campaign_id": roles.campaign_id, "channel": roles.channel}
    if roles.inline_label:
        mapped["label"] = roles.inline_label
    lines += [f"{ours} = {quoted(theirs)}" for ours, theirs in mapped.items()]
    return [*lines, *_inline_outcomes(roles), *_outcome_columns(roles)]


def _outcome_keys(roles: Roles) -> Iterable[str]:
    """Write the keys of [landing] on outcomes as rows of their own."""
    rows = roles.outcome_rows
    if rows and rows.time.written != roles.time.written:
        yield f"outcome_time = {quoted(rows.time.written)}"
    if rows and not rows.kind_column:
        yield f"outcome_kind = {quoted(rows.kinds[0])}  # of all outcomes: their file has no column for it"


def _outcome_columns(roles: Roles) -> Iterable[str]:
    """Write where outcomes stand that are rows of their own."""
    rows = roles.outcome_rows
    if rows and rows.impressions:
        values = ", ".join(map(quoted, rows.impressions))
        yield from ("", "[landing.event_log]  # `land` takes impressions and outcomes apart")
        yield from (f"column = {quoted(rows.kind_column)}", f"impressions = [{values}]")
    elif rows:
        yield from ("", f"[landing.outcome_columns]  # our name = that of {_plain(rows.name)}")
        yield from (f"event_id = {quoted(rows.event_id[0])}", f"ts = {quoted(rows.ts)}")
        if rows.kind_column:
            yield f"kind = {quoted(rows.kind_column)}"


def _inline_outcomes(roles: Roles) -> Iterable[str]:
    """Write the outcomes in the impression's own row, unless one without a time of its own is an inline label."""
    for outcome in () if roles.inline_label or roles.outcome_rows else roles.outcomes:
        yield from ("", "[[landing.outcomes]]", f"kind = {quoted(outcome.kind)}", f"column = {quoted(outcome.column)}")
        if outcome.ts:
            yield f"ts = {quoted(outcome.ts)}"


def _channels(recipe: FirstRecipe) -> Iterable[list[str]]:
    """Write a section for each channel."""
    numbers, prices = recipe.numbers, recipe.prices
    low, high = numbers.positive_ratio
    gain = prices.cost_send - prices.value_click  # negative, as all that earns
    if recipe.delays:
        why = f"half of the outcomes come within {recipe.delays.middle:.3g} hours, 95 % within {recipe.delays.high:.3g}"
    else:
        why = "outcomes have no time of their own: they are known with the impression"
    for name in recipe.roles.channel_names:
        yield [
            f"[channels.{name}]",
            f"positive_kind = {quoted(recipe.positive_kind)}",
            f"attribution_window_hours = {numbers.attribution_window_hours}  # {why}",
            f"positive_ratio = [{low}, {high}]  # required; seen: {percent(recipe.seen_rate)}; other days are rejected",
            *_comment(
                f"Sending costs {prices.cost_send:g}, a {recipe.positive_kind} is worth {prices.value_click:g}: from "
                f"{percent(prices.break_even)} on sending pays."
            ),
            f"cost = {{ true_positive = {gain:.10g}, false_positive = {prices.cost_send:.10g} }}  # required",
        ]


def _feature(feature: ChosenFeature, leak: str) -> list[str]:
    """Write a feature, or as a comment the column that is none."""
    if feature.left_out:
        return _comment(f"{feature.column}: left out: {feature.left_out} ({feature.about})")
    entry = ["[[features]]", f"name = {quoted(feature.name)}", f"kind = {quoted(feature.kind)}"]
    if feature.column != feature.name:
        entry.append(f"column = {quoted(feature.column)}")
    entry += [f"{key} = {value}" for key, value in feature.keys.items()]
    if leak:
        warning = _comment(f"It seems that {feature.column} is known only afterwards: {leak}. Left out; if it is known")
        return [*warning, "# before, take the # away and add known_before = true.", *(f"# {line}" for line in entry)]
    return [*_comment(feature.about), *entry]


def _clock(roles: Roles) -> list[str]:
    """Write the features of the clock."""
    kinds = ("hour", "weekday") if roles.time.has_hours else ("weekday",)
    return [line for kind in kinds for line in ("[[features]]", f'name = "{kind}"', f'kind = "{kind}"')]


def _training(numbers: DayNumbers) -> list[str]:
    """Write [training], by the days and rows that there are."""
    lines = [
        "[training]",
        f"window_days = {numbers.window_days}",
        f"validation_days = {numbers.validation_days}",
        f"calibration_days = {min(7, numbers.window_days)}",
    ]
    if numbers.network:
        small = "of few rows; leave it out for millions"
        lines += ["calibration_share = 0.2", f"network = {quoted(numbers.network)}  # {small}"]
    return lines


def _validation(numbers: DayNumbers) -> list[str]:
    """Write [validation], by the whole days that were seen."""
    return [
        "[validation]  # a day that fails one of these is rejected; a third of the smallest day seen, its hours",
        f"min_rows = {numbers.min_rows}",
        f"min_hours = {min(24, numbers.min_hours)}",
        f"max_hours_since_last_event = {numbers.max_hours_since_last_event}",
    ]


def _gate(recipe: FirstRecipe) -> list[str]:
    """Write [gate]: margins as a share of what sending costs."""
    margin = REFRESH_MARGIN * 1000 * recipe.prices.cost_send
    return [
        f"[gate]  # margins: {percent(REFRESH_MARGIN)} of what 1,000 impressions cost, twice that in one channel",
        f"max_cost_delta_per_1000 = {margin:.6g}  # required",
        f"max_channel_cost_delta_per_1000 = {2 * margin:.6g}  # required",
        f"min_rows = {recipe.numbers.gate_min_rows}",
        f"min_positives = {recipe.numbers.gate_min_positives}",
    ]
