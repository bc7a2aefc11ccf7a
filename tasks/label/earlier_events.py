"""Impressions whose event an earlier landing holds too, perhaps under another time: the earliest landing wins.

All ids of a few landings are compared, so eight bytes of each are held; ids whose bytes agree are compared as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ctr_retrain.tasks.execution import duck

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray

TABLE_BITS = 26  # of a hash: a table of 64 MiB
NONE = np.empty(0, np.uint64)


def note_earlier_events(
    connection: duck.Connection, own: Mapping[date, list[Path]], landings: Mapping[date, list[Path]]
) -> set[Path]:
    """Fill the table `seen` with ids that came before, and when; returns the files of `own` that hold such ids.

    own: files of the rows in question, by landing day. landings: all files that may have brought their events before.
    """
    connection.execute("CREATE TABLE seen (event_id VARCHAR, landing DATE)")
    last = max(own)
    earlier = [(landing, file) for landing, files in landings.items() if landing < last for file in files]
    if not any(landing < mine for landing, _ in earlier for mine in own):
        return set()
    files = list({file: None for _, file in earlier} | {file: None for found in own.values() for file in found})
    hashes = dict(zip(files, duck.in_parallel(connection, _hashes, files), strict=True))
    common: dict[date, NDArray[np.uint64]] = {}
    for landing, found in own.items():
        before = [hashes[file] for day, file in earlier if day < landing]
        common[landing] = _common([hashes[file] for file in found], before)
    suspects = np.unique(np.concatenate(list(common.values())))
    if len(suspects):
        connection.register("suspects_found", pa.table({"hash": suspects}))
        connection.execute("CREATE TABLE suspects AS SELECT * FROM suspects_found")
        connection.unregister("suspects_found")
        duck.in_parallel(connection, _note, earlier)
    return {file for landing, found in own.items() for file in _holding(found, hashes, common[landing])}


def _holding(files: list[Path], hashes: Mapping[Path, NDArray[np.uint64]], wanted: NDArray[np.uint64]) -> list[Path]:
    """The files that hold a wanted hash."""
    if not len(wanted):
        return []
    near = _sift([hashes[file] for file in files], [wanted], 0)
    return [file for file, some in zip(files, near, strict=True) if np.isin(some, wanted).any()]


def _hashes(connection: duck.Connection, file: Path) -> NDArray[np.uint64]:
    """Of a file's ids."""
    found = connection.execute(f"SELECT hash(event_id) AS hash FROM {duck.parquet(file)}").fetchnumpy()["hash"]
    return np.asarray(found, np.uint64)


def _common(mine: list[NDArray[np.uint64]], others: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Hashes that both have. Tables of a few of their bits sort nearly all out, which is cheaper than sorting them."""
    there = _sift(others, mine, 0)
    here = _sift(mine, there, 64 - TABLE_BITS)
    return np.intersect1d(np.concatenate([*here, NONE]), np.concatenate([*there, NONE]))


def _sift(hashes: list[NDArray[np.uint64]], wanted: list[NDArray[np.uint64]], shift: int) -> list[NDArray[np.uint64]]:
    """Hashes some of whose bits, from `shift` on, are those of a wanted one."""
    if not any(map(len, wanted)):
        return []
    table = np.zeros(1 << TABLE_BITS, bool)
    for found in wanted:
        table[_bits(found, shift)] = True
    return [found[table[_bits(found, shift)]] for found in hashes]


def _bits(hashes: NDArray[np.uint64], shift: int) -> NDArray[np.int64]:
    return ((hashes >> np.uint64(shift)) & np.uint64((1 << TABLE_BITS) - 1)).astype(np.int64)


def _note(connection: duck.Connection, item: tuple[date, Path]) -> None:
    landing, file = item
    connection.execute(
        f"INSERT INTO seen SELECT event_id, DATE '{landing}' FROM {duck.parquet(file)} "
        "WHERE hash(event_id) IN (SELECT hash FROM suspects)"
    )
