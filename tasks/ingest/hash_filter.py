"""Find the few of many hashes that are among wanted ones, without sorting the many.

A table says of some bits of a hash whether a wanted hash has them too: Bloom's filter (1970, method 2) with one hash
function. It sorts nearly all others out; what is left is compared as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

FEWEST_BITS, MOST_BITS = 16, 26  # of a hash that a table goes by: at most 64 MiB
ROOM = 128  # entries for each wanted hash, where there is room: one in 128 of the others passes
HASH_BITS = 64
NONE = np.empty(0, np.uint64)  # joined to other arrays, since NumPy can't concatenate none at all


class HashFilter:
    """Wanted 64-bit hashes, to be searched for among others."""

    def __init__(self, wanted: Iterable[NDArray[np.uint64]], *, leading_bits: bool = False) -> None:
        """Make the table. leading_bits: of a hash, instead of its last ones, for what passed a filter of these."""
        found = list(wanted)
        bits = (ROOM * sum(map(len, found))).bit_length()
        bits = min(max(bits, FEWEST_BITS), MOST_BITS)
        # By the same bits, a second filter would again let pass what passed the first one by chance.
        self._shift = np.uint64(HASH_BITS - bits if leading_bits else 0)
        self._mask = np.uint64((1 << bits) - 1)
        self._wanted = found
        self._table = np.zeros(1 << bits, bool)
        for hashes in found:
            self._table[self._bits(hashes)] = True

    def passes(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return for each hash whether it may be wanted: true of each wanted one, and of few others."""
        passed: NDArray[np.bool_] = self._table[self._bits(hashes)]
        return passed

    def positions(self, hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return where the hashes are that are wanted, in order."""
        perhaps = np.flatnonzero(self.passes(hashes))
        return perhaps[np.isin(hashes[perhaps], np.concatenate([*self._wanted, NONE]))]

    def _bits(self, hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return the bits of each hash that are its place in the table."""
        return (hashes >> self._shift) & self._mask


def common_hashes(some: list[NDArray[np.uint64]], others: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return the hashes that are in both, sorted."""
    # Each side filters the other first, so that only the few that are left are sorted.
    theirs = _passing(others, HashFilter(some))
    mine = _passing(some, HashFilter(theirs, leading_bits=True))
    theirs = _passing(theirs, HashFilter(mine, leading_bits=True))
    return np.intersect1d(np.concatenate([*mine, NONE]), np.concatenate([*theirs, NONE]))


def _passing(hashes: list[NDArray[np.uint64]], wanted: HashFilter) -> list[NDArray[np.uint64]]:
    """Return the hashes that pass the filter, array by array."""
    return [some[wanted.passes(some)] for some in hashes]
