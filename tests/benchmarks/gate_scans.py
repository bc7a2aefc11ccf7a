"""The scan for segments: how long it takes, how often it shows one on sound nights, and which planted ones it finds.

A sound night's model is right on the whole and for every value of every feature. Its users are right by themselves, or
each is off by a taste of a standard deviation of 0.3 that no feature tells: chance, for whoever draws users anew, and
no fault of a segment. Users' activity has a long tail, and seven of twenty features are of the user.
"""

import time
import tracemalloc

import numpy as np

from ctr_retrain.models.judged_slices.segment_scan import scan_segments
from ctr_retrain.models.judged_slices.slice_rows import Family
from ctr_retrain.models.judging.judged_rows import JudgedRows
from tests.benchmarks.gate_plants import RECIPE

RATE, TASTE, PLANTED = 0.02, 0.3, 2.0  # PLANTED: by how much a planted segment is predicted too high
# Values of each feature: of the user, and of the impression.
OF_USERS = {"city": 50, "region": 8, "device": 4, "age": 5, "segment": 12, "language": 6, "plan": 3}
OF_IMPRESSIONS = {"campaign_id": 60, "category": 30, "position": 10, "hour": 24, "weekday": 7, "creative": 200} | {
    f"other_{place}": 5 + 5 * place for place in range(7)
}


def draw_night(rng, rows, features=20, taste=TASTE, planted=None):
    """Rows of one night and the families of so many features; planted: the values of two features that are off."""
    users = max(rows // 5, 10)
    user = np.minimum((rng.pareto(1.2, rows) * users / 40).astype(np.int64), users - 1)
    names = [*list(OF_USERS)[: max(1, features * 7 // 20)]]
    names += list(OF_IMPRESSIONS)[: features - len(names)]
    codes = {}
    for name in names:
        values = (OF_USERS | OF_IMPRESSIONS)[name]
        share = 1 / (1 + np.arange(values))
        size = users if name in OF_USERS else rows
        drawn = rng.choice(values, size, p=share / share.sum()).astype(np.int32)
        codes[name] = drawn[user] if name in OF_USERS else drawn
    probability = np.minimum(RATE * np.exp(rng.normal(0, 0.5, rows) - 0.125), 0.5)
    label = rng.random(rows) < probability * np.exp(rng.normal(0, taste, users) - taste**2 / 2)[user]
    if planted:
        off = np.logical_and.reduce([codes[name] == value for name, value in planted.items()])
        probability = np.where(off, PLANTED * probability, probability)
    judged = JudgedRows(
        label=label.astype(np.uint8),
        challenger=probability,
        champion=probability,
        channel=np.full(rows, "ad"),
        user_bucket=user * 7919 % 256,
        campaign=codes.get("campaign_id", np.zeros(rows, np.int32)),
        day=np.zeros(rows, int),
    )
    families = [Family(name, tuple(map(str, range(int(code.max()) + 1))), code) for name, code in codes.items()]
    return judged, families


def scan(rows, families):
    """What the scan of a night shows."""
    whole = float((rows.challenger.sum() + 0.5) / (rows.label.sum() + 0.5))
    return scan_segments(rows, families, RECIPE.gate, whole)


def seconds_of(rows, features):
    """A row of the table of times: of one night, scanned once for its time and once for its memory."""
    night = draw_night(np.random.default_rng(3), rows, features)
    started = time.process_time()
    found = scan(*night)
    seconds = round(time.process_time() - started, 2)
    tracemalloc.start()
    scan(*night)
    megabytes = round(tracemalloc.get_traced_memory()[1] / 1e6)
    tracemalloc.stop()
    return {"rows": rows, "features": features, "segments": found.tried, "seconds": seconds, "megabytes": megabytes}


def shown(rows, taste, nights, planted=None):
    """The share of nights on which a segment is shown; with a planted one, on which that is."""
    count = 0
    for night in range(nights):
        found = scan(*draw_night(np.random.default_rng([rows, night]), rows, taste=taste, planted=planted))
        wanted = [f"{name} = {value}" for name, value in (planted or {}).items()]
        count += any(all(value in name for value in wanted) for name in found.names)
    return round(count / nights, 3)


def rows_of_scans(nights):
    """A row for each number of rows and kind of night; of the large ones a fifth as many nights."""
    kinds = {
        "sound": (0.0, None),
        "sound, each user off by 0.3": (TASTE, None),
        "planted: two features of users": (TASTE, {"city": 1, "device": 1}),
        "planted: two features of impressions": (TASTE, {"category": 5, "position": 2}),
    }
    return [
        {"scan": name, "rows": rows, "nights": few, "shown_share": shown(rows, taste, few, planted)}
        for rows, few in ((100_000, nights), (1_000_000, max(nights // 5, 1)))
        for name, (taste, planted) in kinds.items()
    ]


def rows_of_times(_nights):
    """A row for each number of rows and features."""
    return [seconds_of(rows, features) for rows in (100_000, 1_000_000) for features in (6, 12, 20)]
