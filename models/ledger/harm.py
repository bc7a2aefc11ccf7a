"""Harm: a champion in service that is surely worse than what it took the place of, or than the anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctr_retrain.models.documents.verdict_documents import EvidencePart

# The predecessor first: it is what a rollback brings back.
ROLES = {"predecessor": "its predecessor", "anchor": "the anchor"}


def harm_of(evidence: EvidencePart | None) -> str | None:
    """Say by how much the champion is surely worse than an earlier one, beyond the margin; None where it isn't.

    The intervals may be looked at every night, so that a year's looks raise no false alarm by their number.
    """
    for role, whom in ROLES.items():
        part = evidence.champion_over.get(role) if evidence else None
        if evidence and part and part.value is not None and part.low is not None and part.low > evidence.margin:
            return (
                f"it costs {part.value:.2f} more per 1,000 impressions than {whom} {evidence.earlier[role]} "
                f"(at least {part.low:.2f}; {evidence.margin:.2f} are allowed)"
            )
    return None
