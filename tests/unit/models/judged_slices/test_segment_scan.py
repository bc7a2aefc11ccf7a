"""The scan for segments: each is counted as its rows say, users who differ are none, and a planted one is found."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from ctr_retrain.models.judged_slices.segment_scan import scan_segments
from ctr_retrain.models.judged_slices.slice_rows import NONE, Family
from ctr_retrain.models.judging.judged_rows import JudgedRows
from tests.benchmarks.gate_plants import RECIPE
from tests.benchmarks.gate_scans import draw_night, scan
from tests.support.counts import draws

FLOOR = RECIPE.gate.slice_min_positives


def night_of(rng, rows, families, values):
    """Rows of features with so many values each, of which some rows have none; the first two make a planted segment."""
    codes = [rng.integers(NONE, values, rows).astype(np.int32) for _ in range(families)]
    off = (codes[0] == 1) & (codes[1] == 2)
    predicted = np.where(off, 0.3, 0.1)
    judged = JudgedRows(
        label=(rng.random(rows) < 0.1).astype(np.uint8),
        challenger=predicted,
        champion=np.full(rows, 0.1),
        channel=np.full(rows, "ad"),
        user_bucket=rng.integers(0, 256, rows),
        campaign=np.zeros(rows, int),
        day=np.zeros(rows, int),
    )
    names = [Family(f"f{place}", tuple("abcdefgh"[:values]), code) for place, code in enumerate(codes)]
    return judged, names, off


def test_each_segment_is_counted_as_its_rows_say():
    rows, families, off = night_of(np.random.default_rng(1), 30_000, 3, 4)
    found = scan_segments(rows, families, RECIPE.gate, 1.0)
    masks = [family.code == code for family in families for code in range(4)]
    pairs = [(one, other) for one, other in combinations(range(12), 2) if one // 4 != other // 4]
    segments = [*masks, *(masks[one] & masks[other] for one, other in pairs)]
    enough = [mask for mask in segments if max(rows.label[mask].sum(), rows.challenger[mask].sum()) >= FLOOR]
    assert found.tried == len(enough)
    assert found.names == ("f0 = b and f1 = c",)
    sums = found.sums
    counted = [sums.rows[0], sums.positives[0], sums.predicted[0], sums.before[0]]
    expected = [each[off].sum() for each in (np.ones(30_000), rows.label, rows.challenger, rows.champion)]
    assert counted == pytest.approx(expected)


def test_rows_in_no_slice_of_a_feature_are_in_no_segment_of_it():
    rows, (one, other, _), _ = night_of(np.random.default_rng(2), 30_000, 3, 4)
    absent = Family(other.name, other.values, np.full_like(other.code, NONE))
    assert scan_segments(rows, [one, absent], RECIPE.gate, 1.0).tried == 4


def test_users_who_differ_are_no_segment_and_a_planted_one_is_found():
    rows, nights = draws(60_000, 1_000_000), draws(3, 30)
    planted = {"city": 0, "region": 1}
    shown = [scan(*draw_night(np.random.default_rng([5, night]), rows, 8)).names for night in range(nights)]
    assert sum(map(bool, shown)) <= nights * 0.05 + 2 * (nights * 0.05) ** 0.5
    found = [scan(*draw_night(np.random.default_rng([6, night]), rows, 8, planted=planted)) for night in range(nights)]
    there = [any("city = 0" in name and "region = 1" in name for name in night.names) for night in found]
    assert sum(there) >= nights * 2 / 3


def test_a_segment_of_which_nothing_is_predicted_is_apart():
    rows, families, off = night_of(np.random.default_rng(4), 30_000, 2, 4)
    none = replace(rows, challenger=np.where(off, 0.0, 0.1))
    assert scan_segments(none, families, RECIPE.gate, 1.0).names == ("f0 = b and f1 = c",)


def test_a_segment_that_one_user_fills_is_not_surely_apart():
    """Half of its rows are of one bucket of users, whose taste is their own; of many users they would be apart."""
    rows, families, off = night_of(np.random.default_rng(3), 30_000, 2, 4)
    alone = replace(rows, user_bucket=np.where(off & (np.arange(30_000) % 2 == 0), 0, rows.user_bucket))
    assert scan_segments(rows, families, RECIPE.gate, 1.0).names
    assert not scan_segments(alone, families, RECIPE.gate, 1.0).names
