"""A day's rows as counts of the simulated world's landing zone: duplicates, broken rows, nulls, clicks, values, users.

Drawn by the shares that the world's files are written with. Clicks by the days until they land, by channel, are those
of simulated rows; users are drawn one by one, as many as a day's sample needs.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from ctr_retrain.models.data.user_sample import MOST_USERS, new_user_shares, sample_of
from ctr_retrain.models.drift.unusual_rows import NEW_USERS, UNATTRIBUTED, RowShares, Share
from ctr_retrain.models.simulation.traffic import NULL_BID_FLOOR_SHARE, NULL_DEVICE_SHARE, draw_users
from ctr_retrain.models.simulation.world import simulate_day
from ctr_retrain.tasks.demo.simulate_days import BROKEN_SHARE, DUPLICATE_SHARE, LATE_SHARE

LATEST = 4  # days after its impression on which a click lands at the latest
FEWEST_DAYS = 7  # before a day whose values can be new
NULLS = {"device": NULL_DEVICE_SHARE, "bid_floor": NULL_BID_FLOOR_SHARE, "segment": 0.0}


@dataclass(frozen=True)
class Landed:
    """Counts of what landed on one day."""

    kept: int
    duplicates: int
    quarantined: int

    @property
    def received(self):
        return self.kept + self.duplicates + self.quarantined


def landed(on_time, late, rng):
    """Rows that land on their day and a day late, with copies and broken rows; broken ones are copies, too."""
    copies = rng.binomial(on_time, DUPLICATE_SHARE)
    return Landed(on_time + late, copies, rng.binomial(on_time + copies, BROKEN_SHARE))


def clicks_by_age(world, day):
    """Clicks per impression by channel and the days until they land, {channel: (LATEST + 1,)}, of simulated rows."""
    simulated = simulate_day(world, day)
    impressions = simulated.impressions
    clicks = simulated.outcomes.filter(pc.equal(simulated.outcomes["kind"], "click"))
    rows = pc.index_in(clicks["event_id"], impressions["event_id"].combine_chunks()).to_numpy()
    channel = impressions["channel"].to_numpy(zero_copy_only=False)
    age = (clicks["ts"].to_numpy().astype("datetime64[D]") - np.datetime64(day)).astype(int)
    return {
        name: np.bincount(np.minimum(age[channel[rows] == name], LATEST), minlength=LATEST + 1)
        / (channel == name).sum()
        for name in ("ad", "push")
    }


def clicks_of_earlier_days(seen, ages, rng):
    """Clicks by landing day on impressions of the days before, (days,).

    seen: of a channel by day, clicks that land by the day's end; ages: its clicks per impression by age.
    """
    earlier = np.zeros(len(seen), np.int64)
    for age in range(1, LATEST + 1):
        earlier[age:] += rng.poisson(seen[:-age] * ages[age] / ages[0])
    return earlier


def draw_samples(seed, rows, rng):
    """Each day's sample of its users, as ingest takes it; rows: impressions by day, (days,)."""
    users = draw_users(seed)
    order = rng.permutation(len(users.activity))  # a user's hash
    activity = users.activity[order]
    for total in rows:
        # As many of the least hashes as surely hold a sample.
        appear = np.cumsum(-np.expm1(-total * activity))
        enough = min(int(np.searchsorted(appear, 1.3 * MOST_USERS)) + 1, len(order))
        drawn = rng.poisson(total * activity[:enough])
        yield sample_of(1, enough, {int(user): int(drawn[user]) for user in np.flatnonzero(drawn)})


def draw_row_shares(days, channels, ages, seed, rng):
    """The shares of each day's rows, as the detector reads them of landed days.

    channels: rows and positives by name, (days, campaigns, devices); ages: of `clicks_by_age`; seed: the world's.
    """
    campaigns = sum(counts.sum(2) for counts, _ in channels.values())
    total, clicks = campaigns.sum(1), {name: seen.sum((1, 2)) for name, (_, seen) in channels.items()}
    same = sum(clicks.values())
    earlier = sum(clicks_of_earlier_days(seen, ages[name], rng) for name, seen in clicks.items())
    users = new_user_shares(list(draw_samples(seed, total, rng)))
    late, late_clicks, seen, result = 0, 0, np.zeros(campaigns.shape[1], bool), []
    for index, (day, new_users) in enumerate(zip(days, users, strict=True)):
        tomorrow = rng.binomial(total[index], LATE_SHARE)
        impressions = landed(total[index] - tomorrow, late, rng)
        own, of_before = rng.binomial([same[index], earlier[index]], 1 - LATE_SHARE)
        outcomes = landed(own + of_before, late_clicks, rng)
        shares = {}
        for stream, counts in (("impressions", impressions), ("outcomes", outcomes)):
            shares[f"duplicates of {stream}"] = Share(counts.duplicates, counts.received)
            shares[f"quarantined {stream}"] = Share(counts.quarantined, counts.received)
        for column, share in NULLS.items():
            shares[f"nulls of {column}"] = Share(rng.binomial(impressions.kept, share), impressions.kept)
        # Clicks on impressions that are late themselves have none on the same day either.
        shares[UNATTRIBUTED] = Share(outcomes.kept - rng.binomial(own, 1 - LATE_SHARE), outcomes.kept)
        today = campaigns[index]
        if index >= FEWEST_DAYS:
            shares["new values of campaign_id"] = Share(int(today[~seen].sum()), int(today.sum()))
        if new_users:
            shares[NEW_USERS] = Share(new_users[0] * new_users[1], new_users[1])
        result.append(RowShares(day, {name: share for name, share in shares.items() if share.rows}))
        late, late_clicks, seen = tomorrow, same[index] + earlier[index] - own - of_before, seen | (today > 0)
    return result


def change(row_shares, first, name, by):
    """The same days, a share changed from day `first` on: by(count, rows) → count."""
    changed = list(row_shares)
    for index in range(first, len(changed)):
        shares = dict(changed[index].shares)
        shares[name] = Share(float(by(shares[name].count, shares[name].rows)), shares[name].rows)
        changed[index] = RowShares(changed[index].day, shares)
    return changed
