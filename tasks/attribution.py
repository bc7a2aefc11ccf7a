"""Which outcomes make an impression a positive: one query, for the day's profile and for labels alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import duck

if TYPE_CHECKING:
    from models.recipe import Recipe


def labelled(impressions: str, outcomes: str, recipe: Recipe) -> str:
    """The query that answers `impressions` with a column `label`, 0 or 1 (tables as SQL).

    Positive is an impression with an outcome of its channel's kind at or after its time and within the attribution
    window; an inline label is taken as it stands.
    """
    if recipe.inline_label:
        return f"SELECT * FROM {impressions}"
    counts = " ".join(
        f"WHEN {duck.text(name)} THEN o.kind = {duck.text(channel.positive_kind)} "
        f"AND o.ts <= i.ts + INTERVAL {round(channel.attribution_window_hours * 3600)} SECOND"
        for name, channel in recipe.channels.items()
    )
    positives = (
        f"SELECT DISTINCT i.event_id FROM {impressions} i JOIN {outcomes} o ON o.event_id = i.event_id "
        f"WHERE o.ts >= i.ts AND CASE i.channel {counts} ELSE false END"
    )
    return (
        f"SELECT i.*, (p.event_id IS NOT NULL)::TINYINT AS label "
        f"FROM {impressions} i LEFT JOIN ({positives}) p ON p.event_id = i.event_id"
    )
