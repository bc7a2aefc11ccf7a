"""The evidence on the cost as a forest plot: tonight, all nights, and the champion beside those before it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from ctr_retrain.models.charts.forest_plot import ForestRow, forest_chart
from ctr_retrain.models.number_format import signed

if TYPE_CHECKING:
    from ctr_retrain.models.documents.comparison_documents import IntervalPart
    from ctr_retrain.models.documents.verdict_documents import EvidencePart


def evidence_chart(evidence: EvidencePart) -> str | None:
    """Draw what is known of the cost; None where no difference is a number."""
    named: list[tuple[str, IntervalPart | None]] = [("tonight", evidence.tonight)]
    if evidence.nights > 1:
        named.append((f"over {evidence.nights} nights", evidence.pooled))
    named.append(("against the anchor", evidence.against_anchor))
    named += [(f"champion, against {role}", part) for role, part in evidence.champion_over.items()]
    rows = [_row(name, part) for name, part in named if part is not None and part.value is not None]
    if not rows:
        return None
    limit = evidence.margin if evidence.question == "refresh" else 0.0
    return forest_chart("Evidence on the cost", "cost per 1,000 impressions, less the other's", rows, limit)


def _row(name: str, part: IntervalPart) -> ForestRow:
    """Return the row of one difference; ends that aren't known reach the edge."""
    value = part.value or 0.0
    low, high = (-inf if part.low is None else part.low), (inf if part.high is None else part.high)
    verdict = "better" if high < 0 else "worse" if low > 0 else "open"
    hint = f"{name}: {signed(value, 2)} ({signed(part.low, 2)} to {signed(part.high, 2)})"
    return ForestRow(name, value, low, high, verdict, hint)
