"""Samples of days' users, by which is told what share of a day's rows is of users that the days before did not have.

A user is in the sample by a hash, so that the same ones are in it on every day: the k least hashes of a day stand for
its users, and what is said of two days of those below both days' bounds. Sources: Cohen 1997, "Size-estimation
framework" (bottom-k); Bar-Yossef et al. 2002, "Counting distinct elements in a data stream".
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.day_documents import UserSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST_USERS = 512  # of a day's sample: a share of a half is known to two per cent, in ten kilobytes
DAYS_BEFORE = 14  # in which a user is looked for


def sample_of(probe: int, below: int, rows: Mapping[int, int]) -> UserSample:
    """Return the sample of the users with the least hashes. rows: of all whose hash is under `below`, by hash."""
    kept = sorted(rows)[:MOST_USERS]
    bound = kept[-1] + 1 if len(rows) > MOST_USERS else below
    return UserSample(probe=probe, below=bound, rows={str(user): rows[user] for user in kept})


def add_up_samples(parts: Iterable[UserSample]) -> UserSample | None:
    """Return the sample of a day from those of its shards, in several of which one user may be; None without any."""
    found = list(parts)
    if not found:
        return None
    below, rows = min(part.below for part in found), Counter[int]()
    for part in found:
        rows.update(_under(part, below))
    return sample_of(found[0].probe, below, rows)


def new_user_shares(days: Sequence[UserSample | None]) -> Iterator[tuple[float, int] | None]:
    """Yield by day the share of rows whose user none of the days before had, and the users that tell it.

    None where too few days before have a sample, or none that another version's hash did not make.
    """
    before: deque[UserSample] = deque(maxlen=DAYS_BEFORE)
    for day in days:
        if day is None:
            yield None
            continue
        if before and before[-1].probe != day.probe:
            before.clear()
        yield _new_share(day, before) if len(before) == DAYS_BEFORE else None
        before.append(day)


def _new_share(day: UserSample, before: Iterable[UserSample]) -> tuple[float, int] | None:
    """Return a day's share, by the users that would be in all samples."""
    below = min(each.below for each in (day, *before))
    seen = {user for each in before for user in _under(each, below)}
    rows = _under(day, below)
    new = sum(count for user, count in rows.items() if user not in seen)
    return (new / sum(rows.values()), len(rows)) if rows else None


def _under(sample: UserSample, below: int) -> dict[int, int]:
    """Return rows by user of those whose hash is under a bound."""
    return {int(user): rows for user, rows in sample.rows.items() if int(user) < below}
