"""Policies in sentences: what was compared, what it says, and what no log can say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.documents.comparison_documents import POLICY_NAMES
from ctr_retrain.models.number_format import fixed, signed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ctr_retrain.models.documents.comparison_documents import IntervalPart, PolicyOutcome, PolicyTable

# A policy that sends otherwise changes what is logged, and so what is trained and judged on afterwards.
LIMITS = (
    "All figures are of what was really sent, and every policy chooses among the same models: what other sends would "
    "have brought, and taught later models, is in no log."
)


def describe_policies(days: Sequence[date], rows: int, nights: int, policies: Sequence[PolicyOutcome]) -> str:
    """Say what was compared, which policies surely cost more or less than the gate, and what isn't known."""
    span = f"from {days[0]} to {days[-1]}" if len(days) > 1 else f"of {days[0]}"
    others = [one for one in policies if one.over_gate]
    dearer = [one for one in others if one.over_gate and one.over_gate.low is not None and one.over_gate.low > 0]
    cheaper = [one for one in others if one.over_gate and one.over_gate.high is not None and one.over_gate.high < 0]
    same = [one for one in others if one.over_gate and one.over_gate.low == one.over_gate.high == 0]
    told = {one.name for one in (*dearer, *cheaper, *same)}
    parts = [
        f"{what}: {', '.join(POLICY_NAMES[one.name] for one in found)}."
        for what, found in (
            ("Surely dearer than the gate", dearer),
            ("Surely cheaper than the gate", cheaper),
            ("Like the gate in every decision", same),
            ("Too few days to tell from the gate", [one for one in others if one.name not in told]),
        )
        if found
    ]
    compared = (
        f"{len(days)} event days {span} with {rows:,} impressions, decided on {nights} nights; cost per 1,000 "
        "impressions, a gain is negative."
    )
    return " ".join([compared, *parts, LIMITS])


def policy_rows(table: PolicyTable) -> list[dict[str, str]]:
    """Write the policies for a table: a row each, whose keys are the columns."""
    return [
        {
            "policy": POLICY_NAMES[one.name],
            "per 1,000": fixed(one.cost_per_1000, 2),
            "over the gate": difference_words(one.over_gate),
            f"{table.currency} in all".strip(): fixed(one.cost, 2),
            "promoted": str(one.promotions),
            "worse": f"{one.worse_days} ({one.surely_worse_days})",
        }
        for one in table.policies
    ]


def worse_words(table: PolicyTable) -> str:
    """Explain the column of worse days."""
    return (
        f"worse: days of a model that costs over {table.margin:g} more per 1,000 than the one whose place it took (in "
        "brackets: surely so)"
    )


def difference_words(part: IntervalPart | None) -> str:
    """Write a difference with its interval; nothing where there is none."""
    if part is None:
        return ""
    value, low, high = (signed(each, 2) for each in (part.value, part.low, part.high))
    return f"{value} ({low} to {high})"
