"""Rules of the hash filter: every wanted hash passes, few others do; a search finds the wanted ones and no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctr_retrain.tasks.ingest.hash_filter import HashFilter, common_hashes

FEW = st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**22, 2**63, 2**64 - 1]), max_size=30)


def hashes(values):
    return np.array(values, np.uint64)


@given(FEW, FEW)
def test_positions_are_those_of_the_wanted_hashes(wanted, others):
    rows = [*others, *wanted[:3], *others]
    found = HashFilter([hashes(wanted[:5]), hashes(wanted[5:])]).positions(hashes(rows))
    assert found.tolist() == [number for number, row in enumerate(rows) if row in set(wanted)]


@given(FEW, FEW, FEW)
def test_common_hashes_are_those_in_both(some, others, both):
    found = common_hashes([hashes(some), hashes(both)], [hashes(both), hashes(others)])
    assert found.tolist() == sorted((set(some) | set(both)) & (set(others) | set(both)))


@pytest.mark.parametrize("leading_bits", [False, True])
def test_every_wanted_hash_passes_and_few_others_do(leading_bits):
    drawn = np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64)
    wanted, others = drawn[:50_000], drawn[50_000:]
    search = HashFilter([wanted], leading_bits=leading_bits)
    assert search.passes(wanted).all()
    assert search.passes(others).mean() < 0.02


def test_nothing_is_common_with_nothing():
    assert common_hashes([], []).tolist() == common_hashes([hashes([1])], []).tolist() == []
    assert HashFilter([]).positions(hashes([0, 1])).tolist() == []
