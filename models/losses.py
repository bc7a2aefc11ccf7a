"""What training sees in place of the network's logit, from logits throughout, so that it is stable at ±100."""

from __future__ import annotations

from typing import Any

from keras import ops


def observed_logit(logit: Any, maturity: Any) -> Any:
    """logit(p·F) of p = σ(logit) and the share F in (0, 1] of outcomes landed so far, same shapes.

    A positive is seen with probability p·F (Chapelle 2014, equation 1, the chance that it came by now):
    logit(p·F) = ln F − ln(1 − F + e^−f) = ln F/(1 − F) − softplus(−f − ln(1 − F)). Where F is 1, it is f itself.
    """
    young = maturity < 1
    share = ops.where(young, maturity, 0.5)  # of the others nothing is taken, but a gradient of infinity would be
    log_missing = ops.log1p(-share)
    seen = ops.log(share) - log_missing - ops.softplus(-logit - log_missing)
    return ops.where(young, seen, logit)
