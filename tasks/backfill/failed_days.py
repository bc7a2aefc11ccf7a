"""The failure of a backfill: its worst day decides how the command and its flow run end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.errors import CtrRetrainError, DataRejectedError, StorageError

if TYPE_CHECKING:
    from ctr_retrain.models.documents.command_documents import BackfillAnswer


def backfill_failure(answer: BackfillAnswer) -> CtrRetrainError | None:
    """Return the error of a backfill of which days failed, or have data that can't be used; None where all is well."""
    failed = [str(done.date) for done in answer.days if done.outcome == "failed"]
    bad = [str(done.date) for done in answer.days if done.outcome in ("rejected", "data rejected")]
    if failed:
        msg = (
            f"backfill: expected {len(answer.days)} days to run, received {len(failed)} that failed: "
            f"{', '.join(failed)}. The others are done: mend it and run the same again, which goes on from there."
        )
        return StorageError(msg, document=answer)
    if bad:
        msg = (
            f"backfill: expected {len(answer.days)} days of usable data, received {len(bad)} that is not: "
            f"{', '.join(bad)}. See `ctr-retrain status`; the other days are done."
        )
        return DataRejectedError(msg, document=answer)
    return None
