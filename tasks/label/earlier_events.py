"""Find impressions whose event an earlier landing holds too, perhaps under another time: the earliest landing wins.

The ids of all landings in question are compared, so eight bytes of each are held: a hash. Ids whose hashes agree are
then compared as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.hash_filter import HashFilter, common_hashes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray


def note_earlier_events(
    connection: duck.Connection, own: Mapping[date, list[Path]], landings: Mapping[date, list[Path]]
) -> set[Path]:
    """Fill the table `seen` with ids that came before, and when; return the files of `own` that may hold such ids.

    own: files of the rows in question, by landing day. landings: all files that may have brought their events before.
    """
    connection.execute("CREATE TABLE seen (event_id VARCHAR, landing DATE)")
    last = max(own)
    earlier = [(landing, file) for landing, files in landings.items() if landing < last for file in files]
    if not any(landing < mine for landing, _ in earlier for mine in own):
        return set()
    files = list({file: None for _, file in earlier} | {file: None for found in own.values() for file in found})
    hashes = dict(zip(files, duck.in_parallel(connection, _hash_ids, files), strict=True))
    repeated = {
        landing: common_hashes(
            [hashes[file] for file in found], [hashes[file] for day, file in earlier if day < landing]
        )
        for landing, found in own.items()
    }
    suspects = np.unique(np.concatenate(list(repeated.values())))
    if not len(suspects):
        return set()
    connection.register("suspects_found", pa.table({"hash": suspects}))
    connection.execute("CREATE TABLE suspects AS SELECT * FROM suspects_found")
    connection.unregister("suspects_found")
    duck.in_parallel(connection, _note_suspects, earlier)
    searches = {landing: HashFilter([found]) for landing, found in repeated.items()}
    return {file for landing, found in own.items() for file in found if len(searches[landing].positions(hashes[file]))}


def _hash_ids(connection: duck.Connection, file: Path) -> NDArray[np.uint64]:
    """Return the 64-bit hash of every event_id in the file, in the rows' order."""
    found = connection.execute(f"SELECT hash(event_id) AS hash FROM {duck.parquet(file)}").fetchnumpy()["hash"]
    return np.asarray(found, np.uint64)


def _note_suspects(connection: duck.Connection, item: tuple[date, Path]) -> None:
    """Add a landing's ids whose hash is a suspect's to the table `seen`."""
    landing, file = item
    connection.execute(
        f"INSERT INTO seen SELECT event_id, DATE '{landing}' FROM {duck.parquet(file)} "
        "WHERE hash(event_id) IN (SELECT hash FROM suspects)"
    )
