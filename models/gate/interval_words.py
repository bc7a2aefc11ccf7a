"""Words of intervals: how a check writes one, and the kind of a failure that rests on one."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctr_retrain.models.documents.verdict_documents import FailureKind
    from ctr_retrain.models.judging.cells import Interval


def interval_text(delta: Interval, digits: int) -> str:
    """Write a difference with its interval, as in +0.12 (-0.40 to +0.63)."""
    return f"{delta.estimate:+.{digits}f} ({delta.low:+.{digits}f} to {delta.high:+.{digits}f})"


def json_number(interval: Interval) -> float | None:
    """Return the estimate, or None where it isn't finite: JSON has no NaN."""
    return interval.estimate if isfinite(interval.estimate) else None


def kind_of_failure(interval: Interval, failed: FailureKind) -> FailureKind:
    """Return the kind of a failure: an estimate of NaN is broken, one without finite bounds proves nothing."""
    if not isfinite(interval.estimate):
        return "integrity"
    return failed if interval.bounded else "evidence"


def worth(delta: Interval, limit: float, *, passed: bool) -> str:
    """Say what the new model earns, for the person who pays: gains are positive, and what is sure is told apart."""
    gain, least, most = -delta.estimate, -delta.high, -delta.low
    sure = "" if least > 0 or most < 0 else "probably "
    earns = f"The new model {sure}earns {abs(gain):.2f} {'more' if gain >= 0 else 'less'} per 1,000 impressions"
    allowed = f"a loss beyond the allowed {limit:.2f}" if limit else "that it earns nothing more"
    if passed and delta.high > limit:  # of a change it is the evidence that tells, whose interval ends below
        told = f"{allowed} isn't excluded, which a fresher model need not do"
    elif passed:
        told = f"{allowed} is excluded"
    elif delta.low > limit:
        told = f"{'a loss beyond the allowed ' + format(limit, '.2f') if limit else 'a loss'} is sure"
    elif delta.high < limit:
        told = "one look shows it, and nights of looking don't yet"
    else:
        told = f"{allowed} can't be excluded yet"
    return f"{earns} (between {least:+.2f} and {most:+.2f}); {told}."
