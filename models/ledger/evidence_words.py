"""The evidence on the cost in sentences, for the report and `explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.number_format import signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctr_retrain.models.documents.comparison_documents import IntervalPart
    from ctr_retrain.models.documents.verdict_documents import EvidencePart


def evidence_words(evidence: EvidencePart) -> tuple[str, ...]:
    """Say what is known of the cost by now, and what tonight could have shown."""
    return tuple(_sentences(evidence))


def _sentences(evidence: EvidencePart) -> Iterator[str]:
    """Yield the sentences, what is known first."""
    nights = f"{evidence.nights} night{'' if evidence.nights == 1 else 's'}"
    whom = f"the champion {evidence.champion}" if evidence.champion else "the constant rate"
    yield (
        f"Over {nights} with {evidence.rows:,} impressions the new model's cost per 1,000 against {whom}: "
        f"{_written(evidence.pooled)}."
    )
    if evidence.e_value is not None and evidence.e_value_needed is not None:
        yield (
            f"It is trained otherwise, as change number {evidence.change} within a year, and needs evidence of "
            f"{evidence.e_value_needed:,.0f} to take over: so far {evidence.e_value:,.3g}."
        )
    for role, part in evidence.champion_over.items():
        yield f"The champion against the {role} {evidence.earlier[role]}: {_written(part)}, however often one looks."
    if evidence.dominant_campaign:
        yield evidence.dominant_campaign
    yield from _power(evidence)


def _power(evidence: EvidencePart) -> Iterator[str]:
    """Yield what tonight's rows could have shown, and how many nights more is needed for."""
    if evidence.smallest_difference is None:
        return
    yield f"Tonight's rows would have shown a difference of {evidence.smallest_difference:.2f} in four cases of five."
    if evidence.question == "first":
        return
    needs = [
        f"{100 * need.share:g} % cheaper {'no number of nights' if need.nights is None else need.nights}"
        for need in evidence.nights_needed
    ]
    yield f"Nights like this one after which a model passes, in half of all cases: {', '.join(needs)}."


def _written(part: IntervalPart) -> str:
    """Write a difference with its interval."""
    value, low, high = (signed(each, 2) for each in (part.value, part.low, part.high))
    return f"{value} ({low} to {high})"
