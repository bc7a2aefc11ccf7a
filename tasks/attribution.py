"""Which outcomes make an impression a positive: one query, for the day's profile and for labels alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import duck

if TYPE_CHECKING:
    from models.recipe import Recipe


def labelled(impressions: str, outcomes: str, recipe: Recipe) -> str:
    """The query that answers `impressions` with a column `label`, 0 or 1 (tables as SQL; a row an event each).

    Positive is an impression whose earliest outcome of its channel's kind lies at or after the impression and within
    the attribution window, both ends included; an inline label is taken as it stands.
    """
    if recipe.inline_label:
        return f"SELECT * FROM {impressions}"
    kinds = " ".join(f"WHEN {duck.text(name)} THEN {duck.text(c.positive_kind)}" for name, c in recipe.channels.items())
    windows = " ".join(
        f"WHEN {duck.text(name)} THEN INTERVAL {round(c.attribution_window_hours * 3600)} SECOND"
        for name, c in recipe.channels.items()
    )
    # The earliest counts wherever it landed, so that outcomes sent twice say the same in one file or in two.
    positives = (
        f"SELECT i.event_id FROM {impressions} i JOIN {outcomes} o "
        f"ON o.event_id = i.event_id AND o.kind = CASE i.channel {kinds} END "
        f"GROUP BY i.event_id, i.ts, i.channel "
        f"HAVING min(o.ts) BETWEEN i.ts AND i.ts + CASE i.channel {windows} END"
    )
    return (
        f"SELECT i.*, (p.event_id IS NOT NULL)::TINYINT AS label "
        f"FROM {impressions} i LEFT JOIN ({positives}) p ON p.event_id = i.event_id"
    )
