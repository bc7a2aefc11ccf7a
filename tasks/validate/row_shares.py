"""Read shares of days' rows that tell of their hygiene: duplicates, quarantine, nulls, outcomes, new values, users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ctr_retrain.models.data.slices import MISSING, OTHERS
from ctr_retrain.models.data.user_sample import new_user_shares
from ctr_retrain.models.documents.day_documents import DaySummary
from ctr_retrain.models.drift.unusual_rows import NEW_USERS, UNATTRIBUTED, RowShares, Share
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.store.layout import SUMMARY_FILE
from ctr_retrain.tasks.store.protocol import find_document
from ctr_retrain.tasks.validate.day_counts import READERS

if TYPE_CHECKING:
    from ctr_retrain.models.data.slices import SliceCount
    from ctr_retrain.models.documents.day_documents import UserSample
    from ctr_retrain.tasks.store.protocol import Store
    from ctr_retrain.tasks.validate.day_counts import CountedDay

FEWEST_DAYS = 7  # before a day, after which a value that none of them had is a new one


def load_row_shares(store: Store, counted: Sequence[CountedDay]) -> list[RowShares]:
    """Read the shares of days in order; of a day that was not ingested none."""

    def load(day: CountedDay) -> DaySummary | None:
        return find_document(store, day.path, SUMMARY_FILE, DaySummary) if day.path else None

    with ThreadPool(READERS) as pool:
        summaries = list(pool.map(load, counted))
    new = new_values([day.slices for day in counted])
    users = new_users([summary.users if summary else None for summary in summaries])
    return [
        RowShares(day.day, (landed_shares(summary) if summary else {}) | values | of_users)
        for day, summary, values, of_users in zip(counted, summaries, new, users, strict=True)
    ]


def landed_shares(summary: DaySummary) -> dict[str, Share]:
    """Return the shares of what landed on a day, by name."""
    shares = {}
    for stream, counts in (("impressions", summary.impressions), ("outcomes", summary.outcomes)):
        shares[f"duplicates of {stream}"] = Share(counts.duplicates, counts.received)
        shares[f"quarantined {stream}"] = Share(counts.quarantined, counts.received)
    kept = summary.impressions.kept
    shares |= {f"nulls of {column}": Share(kept - fill.rows, kept) for column, fill in summary.fill.items()}
    if summary.attribution:
        named = summary.attribution.found + summary.attribution.not_found
        shares[UNATTRIBUTED] = Share(summary.attribution.not_found, named)
        shares["outcomes of kinds that no channel names"] = Share(
            summary.attribution.unnamed, summary.attribution.outcomes
        )
    return {name: share for name, share in shares.items() if share.rows}


def new_values(days: Sequence[Sequence[SliceCount]]) -> Iterator[dict[str, Share]]:
    """Yield by day the share of each column's rows whose value no earlier day had."""
    seen: dict[str, set[str]] = {}
    for number, day in enumerate(days):
        rows, new = dict.fromkeys((one.column for one in day), 0), dict.fromkeys((one.column for one in day), 0)
        for one in day:
            rows[one.column] += one.rows
            unseen = one.value not in seen.get(one.column, set()) and one.value not in {OTHERS, MISSING}
            new[one.column] += one.rows if unseen else 0
        for one in day:
            seen.setdefault(one.column, set()).add(one.value)
        early = number < FEWEST_DAYS
        yield {} if early else {f"new values of {name}": Share(new[name], rows[name]) for name in rows}


def new_users(days: Sequence[UserSample | None]) -> Iterator[dict[str, Share]]:
    """Yield by day the share of the rows whose user the weeks before did not have; as sure as its sample has users."""
    for found in new_user_shares(days):
        yield {} if found is None else {NEW_USERS: Share(found[0] * found[1], found[1])}
