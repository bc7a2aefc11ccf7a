"""Evidence that may be looked at every night: it holds whenever one stops, unlike a test that begins anew each night.

Both rest on a mixture of normal distributions over the unknown mean, with the variance of the sum known or estimated
(Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021, section 3; for estimated variances of sums over clusters
Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, arXiv 2103.06476).
"""

from __future__ import annotations

from math import exp, log, sqrt

from scipy.special import ndtr

_MOST = 600.0  # exponent, beyond which a float would overflow: an e-value of 10²⁶⁰ is enough for everybody


def e_value(gain: float, variance: float, prior: float) -> float:
    """Return the evidence that the mean of a sum is above 0: under any mean up to 0 it reaches 1/α with chance α.

    gain: the sum. variance: its variance. prior: variance of the mixture, by which the evidence grows fastest once
    `variance` has reached it. E = 2·√(r/(V+r))·exp(S²/(2(V+r)))·Φ(S/√(V+r)), the one-sided normal mixture.
    """
    whole = variance + prior
    if not whole > 0:
        return 0.0  # nothing was seen: no row on which decisions differ
    scaled = gain / sqrt(whole)
    return 2 * sqrt(prior / whole) * exp(min(scaled**2 / 2, _MOST)) * float(ndtr(scaled))


def anytime_half_width(variance: float, prior: float, error: float) -> float:
    """Return half the width of an interval of a sum that leaves its mean out on any night with chance `error` at most.

    √((V+r)·(2 ln(1/error) + ln((V+r)/r))): where the two-sided mixture reaches 1/error (Robbins 1970).
    """
    if not prior > 0:
        return 0.0
    whole = variance + prior
    return sqrt(whole * (2 * log(1 / error) + log(whole / prior)))
