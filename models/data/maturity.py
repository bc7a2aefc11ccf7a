"""Label maturity F: the share of eventual outcomes that has landed, by channel, kind, hour of the impression and age.

An outcome's age is the number of days from its impression's event day to the day on which it landed, so it holds delays
of people and of files alike. The hour matters: an evening's impression has had less of its own day to be clicked in.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.maturity_documents import ImmatureRatio, Maturity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    import pyarrow as pa
    from numpy.typing import NDArray

    from ctr_retrain.models.recipe.recipe import Recipe

HOURS = 24
PRIOR_POSITIVES = 30.0  # of the channel's own curve in each hour's, so that an hour with few outcomes says little
FLOOR = 0.02  # of F where it divides: a share below is not known well enough to be worth more than fifty-fold


@dataclass(frozen=True)
class _Arrivals:
    """Impressions of one hour that landed alike, with outcomes that did."""

    hour: int  # of the impression's time
    days_late: int  # from the event day to the impressions' landing day; 0 where that is the day before
    age_days: int | None  # from the event day to the outcomes' landing day, likewise; None: no outcome
    rows: int


def final_age(recipe: Recipe, channel: str, kind: str) -> int:
    """Return the age in days from which on the label of a channel and kind of outcome doesn't change."""
    return recipe.final_ages[channel][kind]


def estimate_maturity(arrivals: Iterable[pa.Table], channel: str, kind: str, final_age_days: int) -> Maturity | None:
    """Estimate F from the arrivals of days that are final for this channel and kind; None without any positive.

    An age counts impressions that had landed by then, since a late one is in no day that is too young for it.
    """
    counted = [_count_landed(_rows_of_kind(table, channel, kind), final_age_days + 1) for table in arrivals]
    days = len(counted)
    by_day = np.array(counted).reshape(days, 2, HOURS, final_age_days + 1)  # eventual and landed outcomes
    eventual, landed = by_day.sum(axis=0)
    total = eventual.sum(axis=0)
    if not total.all():
        return None
    overall = landed.sum(axis=0) / total
    shares = (landed + PRIOR_POSITIVES * overall) / (eventual + PRIOR_POSITIVES)
    return Maturity(
        channel=channel,
        kind=kind,
        days=days,
        positives=int(total[-1]),
        overall=tuple(overall.tolist()),
        shares=tuple(tuple(hour) for hour in shares.tolist()),
        variation=tuple(_variation(by_day.sum(axis=2)).tolist()),
    )


def _count_landed(rows: Iterable[_Arrivals], ages: int) -> NDArray[np.float64]:
    """Count a day's outcomes by hour and age: those that there are in the end, and those that had landed by the age."""
    eventual, landed = np.zeros((HOURS, ages)), np.zeros((HOURS, ages))
    for row in rows:
        if row.age_days is not None and row.days_late < ages:
            # From each age on, cumulatively: an outcome that has landed by one age has landed by all later ones.
            eventual[row.hour, row.days_late :] += row.rows
            landed[row.hour, max(row.days_late, row.age_days) :] += row.rows
    return np.stack([eventual, landed])


def _variation(by_day: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by age the standard deviation of one more day's share around the measured one, beyond its own chance.

    by_day: eventual and landed outcomes, (days, 2, ages). Shares vary from day to day, since people are slower on
    weekends and files late. Source: Kleinman 1973, the moment estimator for proportions with extraneous variance; the
    measured share's own error is added, and Student's factor, since both come of few days.
    """
    eventual, landed = by_day[:, 0], by_day[:, 1]
    days, total = len(by_day), eventual.sum(axis=0)
    share = landed.sum(axis=0) / total
    own = np.divide(landed, eventual, out=np.broadcast_to(share, landed.shape).copy(), where=eventual > 0)
    squares = (eventual * (own - share) ** 2).sum(axis=0)
    chance = share * (1 - share)
    weight = total - (eventual**2).sum(axis=0) / total
    between = np.zeros(len(total))
    np.divide(squares - (days - 1) * chance, weight, out=between, where=weight > 0)
    between = np.clip(between, 0, None)
    freedom = max(days - 1, 3)  # Student's t has a variance only with more than two
    return np.asarray(np.sqrt((between * (1 + 1 / days) + chance / total) * freedom / (freedom - 2)))


def correct_ratio(
    arrivals: pa.Table,
    maturity: Maturity | None,
    channel: str,
    kind: str,
    day: date,
    age_days: int,
    lacking: tuple[date, ...] = (),
) -> ImmatureRatio:
    """Correct the ratio of a day with immature labels: Σ yᵢ/Fᵢ over its impressions, with a floor on F.

    Horvitz and Thompson 1952: each positive stands for 1/F, F being its chance of having landed. lacking: landing days
    of which outcomes are missing; F then says nothing of those that landed.
    """
    seen, rows = np.zeros(HOURS), 0
    for row in _rows_of_kind(arrivals, channel, kind):
        rows += row.rows
        seen[row.hour] += row.rows if row.age_days is not None else 0
    positives = int(seen.sum())
    corrected = error = None
    if maturity is not None and rows and not lacking:
        share = _shares_at(maturity, age_days)
        corrected = float((seen / share).sum() / rows)
        # Of none seen a first one might have landed just as well: no ratio is known without an error.
        counted = seen if positives else np.full(HOURS, 1 / HOURS)
        chance = sqrt(float((counted * (1 - share) / share**2).sum())) / rows
        error = hypot(chance, corrected * _relative_variation(maturity, age_days))
    ratio = positives / rows if rows else None
    return ImmatureRatio(
        day=day,
        channel=channel,
        kind=kind,
        age_days=age_days,
        rows=rows,
        positives=positives,
        seen=ratio,
        corrected=corrected,
        standard_error=error,
        incomplete=lacking,
    )


def seen_shares(curves: Iterable[Maturity], recipe: Recipe, age_days: int) -> dict[str, tuple[float | None, ...]]:
    """Return F of each channel's positive kind at an age: 24 hours each, all 1 where the label is final by then.

    None in an hour of which no share is known, or one below FLOOR: such rows say nothing yet.
    """
    known = {(curve.channel, curve.kind): curve for curve in curves}
    found: dict[str, tuple[float | None, ...]] = {}
    for name, channel in recipe.channels.items():
        curve = known.get((name, channel.positive_kind))
        if recipe.inline_label or age_days >= final_age(recipe, name, channel.positive_kind):
            found[name] = (1.0,) * HOURS
        elif curve is None:
            found[name] = (None,) * HOURS
        else:
            found[name] = tuple(share if share >= FLOOR else None for share in (h[age_days] for h in curve.shares))
    return found


def _shares_at(maturity: Maturity, age_days: int) -> NDArray[np.float64]:
    """Return F of each hour at an age, shape (24,), not below FLOOR; 1 from the final age on."""
    shares = np.array(maturity.shares)
    return np.asarray(np.maximum(shares[:, age_days], FLOOR) if age_days < shares.shape[1] else np.ones(HOURS))


def _relative_variation(maturity: Maturity, age_days: int) -> float:
    """Return the standard deviation of F from day to day as a share of F at an age; 0 where it is not known."""
    if age_days >= len(maturity.variation):
        return 0.0
    return maturity.variation[age_days] / max(maturity.overall[age_days], FLOOR)


def _rows_of_kind(table: pa.Table, channel: str, kind: str) -> list[_Arrivals]:
    """Return the rows of an arrivals table that are of a channel and a kind of outcome."""
    found = [row for row in table.to_pylist() if row["channel"] == channel and row["kind"] == kind]
    # What landed on the day before its event day is there at the event day's end, which is age 0.
    return [
        _Arrivals(
            hour=row["hour"],
            days_late=max(0, row["days_late"]),
            age_days=None if row["age_days"] is None else max(0, row["age_days"]),
            rows=row["rows"],
        )
        for row in found
    ]
