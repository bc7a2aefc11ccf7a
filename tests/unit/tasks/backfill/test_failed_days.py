"""Rules of the end of a backfill: its worst day decides."""

from datetime import date

import pytest

from ctr_retrain.models.documents.command_documents import BackfillAnswer, BackfillDay
from ctr_retrain.tasks.backfill.failed_days import backfill_failure

DAY = date(2026, 3, 7)


@pytest.mark.parametrize(("outcome", "status"), [("failed", 4), ("rejected", 3), ("data rejected", 3), ("hold", None)])
def test_a_backfill_ends_by_its_worst_day(outcome, status):
    days = tuple(BackfillDay(date=DAY, outcome=one) for one in ("ingested", outcome, "rejected" if status else "hold"))
    failure = backfill_failure(BackfillAnswer(days=days, champion=None))
    assert (failure.exit_code if failure else None) == status
