"""Rules of drift on a day whose outcomes are missing: it tells what they don't explain, and ends nothing."""

from datetime import date, timedelta

import pytest

from ctr_retrain.models.data.completeness import Completeness
from ctr_retrain.models.documents.maturity_documents import IncompleteDay
from ctr_retrain.models.incidents.signal import Signal
from ctr_retrain.tasks.validate.check_outcomes import OutcomeCheck

DAY = date(2026, 3, 8)
SHORT = IncompleteDay(
    day=DAY, channels=("ad",), kinds=("click",), expected=100, received=0, z=-9, due=DAY, overdue=False, message="Late."
)


def fell(channel="ad", since=DAY, received=0.0):
    return Signal(
        kind="logger_down",
        subject=f"{channel} device=android",
        channel=channel,
        level="warning",
        since=since,
        expected=(0.01, 0.03),
        received=received,
        summary="It fell.",
    )


@pytest.mark.parametrize(
    ("signal", "told"),
    [
        (fell(), False),
        (fell(since=DAY - timedelta(days=9)), True),  # an incident that was open before
        (fell("push"), True),  # whose outcomes are all there
        (fell(received=0.05), True),  # a rise
    ],
)
def test_missing_outcomes_explain_what_falls_with_them_and_nothing_that_began_before(signal, told):
    check = OutcomeCheck(Completeness(), (SHORT,), ())
    assert check.unexplained([signal], DAY) == ([signal] if told else [])
    assert check.unexplained([signal], DAY + timedelta(days=1)) == [signal]
