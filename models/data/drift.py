"""Imbalance drift: today's share of positives against what the channel's own history leads one to expect.

One million impressions at 2.1 % instead of 2.0 % are 7 standard errors of pure counting, and nothing to wake anybody
for. So an alert needs effect (the odds changed by a share that matters) and evidence (many standard errors, where the
ordinary variation from day to day counts too). Same vintage: each day, today's as well, as it was seen at its own end.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log, log1p, sqrt
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.drift_documents import Alert, AlertLevel, Basis, DriftResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from ctr_retrain.models.recipe.validation_section import Drift

MIN_SAME_WEEKDAYS = 3  # of history; with fewer, the level comes from all days


@dataclass(frozen=True)
class DayRatio:
    """Positives among a channel's impressions of one day, as seen by the end of that day."""

    day: date
    positives: int  # of the impressions, those with a positive outcome landed by then
    rows: int  # impressions

    def __post_init__(self) -> None:
        """Raise ValueError unless 0 ≤ positives ≤ rows."""
        if not 0 <= self.positives <= self.rows:
            msg = f"day ratio of {self.day}: expected 0 <= positives <= rows, received {self.positives} of {self.rows}"
            raise ValueError(msg)

    @property
    def log_odds(self) -> float:
        """ln((k + ½) / (n − k + ½)): finite for no positives too, nearly unbiased. Source: Haldane 1955."""
        return log((self.positives + 0.5) / (self.rows - self.positives + 0.5))

    @property
    def sampling_variance(self) -> float:
        """Variance of the log-odds from counting alone. Source: Gart and Zweifel 1967."""
        return 1 / (self.positives + 0.5) + 1 / (self.rows - self.positives + 0.5)


@dataclass(frozen=True)
class Level:
    """The log-odds that history leads one to expect of a day."""

    log_odds: float
    standard_deviation: float  # of a day around it without counting noise: overdispersion and the level's own error
    basis: Basis  # the kind of days that it comes from
    days: int  # how many of them


def detect(channel: str, today: DayRatio, history: Sequence[DayRatio], drift: Drift) -> DriftResult:
    """Compare a channel's day with its days before.

    history: in any order; days that aren't within drift.history_days before today, or have no rows, are left out. Leave
    out rejected days too: a broken day would widen the band. A day without impressions alerts only if this weekday
    usually has some, so that a channel that rests at weekends does.
    """
    past = [d for d in history if d.rows > 0 and 0 < (today.day - d.day).days <= drift.history_days]
    if len(past) < drift.min_history_days:
        return _result_without_history(channel, today, drift, len(past))
    level = expected_level(today, past)
    if today.rows == 0:
        return _result_without_impressions(channel, today, level)
    return _result_against_level(channel, today, level, drift)


def to_alert(result: DriftResult) -> Alert | None:
    """Return the alert that a result raises, if any; critical if there is no positive at all."""
    if not result.alert:
        return None
    level: AlertLevel = "warning" if result.received else "critical"
    band = (result.low, result.high) if result.low is not None and result.high is not None else None
    return Alert(
        name="positive_ratio",
        level=level,
        channel=result.channel,
        expected=band,
        received=result.received,
        cause=_cause(result),
    )


def expected_level(today: DayRatio, past: Sequence[DayRatio]) -> Level:
    """Estimate the level of the log-odds from the same weekdays, or from all days if those are fewer than three.

    Overdispersion τ², the variation from day to day beyond counting, is pooled over weekdays by the method of moments:
    Σ(l_d − mean_w)² has the expectation Σ(1 − 1/n_w)(τ² + v_d). Source: Cochran 1954, "The combination of estimates
    from different experiments", unweighted. One factor more, ν/(ν − 2), is the variance of Student's t with the pool's
    ν degrees of freedom, since τ² is itself an estimate; three degrees stand in where there are fewer.
    """
    same = [d for d in past if d.day.weekday() == today.day.weekday()]
    by_weekday = len(same) >= MIN_SAME_WEEKDAYS
    # The level is the weekday's own; the spread is pooled, since the few days of one weekday say little about it.
    groups = [[d for d in past if d.day.weekday() == w] for w in range(7)] if by_weekday else [list(past)]
    tau2, freedom = _overdispersion([group for group in groups if group])
    members = same if by_weekday else list(past)
    n = len(members)
    error2 = sum(tau2 + d.sampling_variance for d in members) / n**2
    freedom = max(freedom, 3)  # Student's t has a variance only with more than two
    return Level(
        log_odds=sum(d.log_odds for d in members) / n,
        standard_deviation=sqrt((tau2 + error2) * freedom / (freedom - 2)),
        basis="same weekdays" if by_weekday else "all days",
        days=n,
    )


def _overdispersion(groups: Sequence[Sequence[DayRatio]]) -> tuple[float, int]:
    """Estimate τ² of the log-odds within groups, at least 0, and return it with its degrees of freedom."""
    squares = counting = 0.0
    for group in groups:
        mean = sum(d.log_odds for d in group) / len(group)
        squares += sum((d.log_odds - mean) ** 2 for d in group)
        counting += (1 - 1 / len(group)) * sum(d.sampling_variance for d in group)
    freedom = sum(len(group) - 1 for group in groups)
    return (max(0.0, (squares - counting) / freedom) if freedom else 0.0), freedom


def standard_errors(change: float, level: Level, rows: int) -> float:
    """Express a change of the log-odds in standard errors, z with the change's sign: 1/z² = (sd / change)² + 1/D.

    D is the binomial deviance of the received against the expected count, which stays honest for very few positives,
    where the log-odds' own standard error is not (none of 100 expected would seem 4 standard errors, and is 14).
    Source: signed root of the deviance, McCullagh and Nelder 1989, section 2.4.3.
    """
    if change == 0:
        return 0.0
    n = rows + 1  # half a positive and half a negative more, as in the log-odds
    deviance = 2 * n * _divergence(level.log_odds + change, level.log_odds)
    inverse2 = (level.standard_deviation / change) ** 2 + (1 / deviance if deviance > 0 else float("inf"))
    return (1 if change > 0 else -1) / sqrt(inverse2) if isfinite(inverse2) else 0.0


def _divergence(log_odds: float, expected: float) -> float:
    """Kullback-Leibler divergence of two Bernoulli laws given by their log-odds, at least 0."""
    p = _probability(log_odds)
    return max(0.0, p * (log_odds - expected) + _softplus(expected) - _softplus(log_odds))


def _result_against_level(channel: str, today: DayRatio, level: Level, drift: Drift) -> DriftResult:
    """Compare a day that has impressions with its level."""

    def alerts(change: float) -> bool:
        # Both are needed: at a million impressions a day every change is evident, hardly any is worth waking somebody.
        enough_evidence = abs(standard_errors(change, level, today.rows)) >= drift.min_z
        return abs(exp(change) - 1) >= drift.min_effect and enough_evidence

    change = today.log_odds - level.log_odds
    low, high = (_seen_ratio(level.log_odds + _smallest_alerting_change(alerts, sign), today.rows) for sign in (-1, 1))
    expected, received = _seen_ratio(level.log_odds, today.rows), today.positives / today.rows
    z, effect = standard_errors(change, level, today.rows), exp(change) - 1
    message = (
        f"{_subject(channel, today)}: expected {_percent(expected)} ({_percent(low)} to {_percent(high)}; "
        f"{_history(level.days, level.basis)}), received {_percent(received)}: "
        f"odds {100 * effect:+.0f} %, {z:+.1f} standard errors."
    )
    return DriftResult(
        channel=channel,
        alert=alerts(change),
        basis=level.basis,
        days=level.days,
        message=message,
        expected=expected,
        low=low,
        high=high,
        received=received,
        z=z,
        effect=effect,
    )


def _result_without_impressions(channel: str, today: DayRatio, level: Level) -> DriftResult:
    """Return the result of a day without impressions: an alert where this weekday usually has some."""
    alert = level.basis == "same weekdays"
    expected = _probability(level.log_odds)
    unknown = "" if alert else ", which is not known to be unusual for this weekday"
    message = (
        f"{_subject(channel, today)}: expected {_percent(expected)} ({_history(level.days, level.basis)}), "
        f"received no impressions{unknown}."
    )
    return DriftResult(
        channel=channel, alert=alert, basis=level.basis, days=level.days, message=message, expected=expected
    )


def _result_without_history(channel: str, today: DayRatio, drift: Drift, days: int) -> DriftResult:
    """Return the result of a day with too few days before it, which is never an alert."""
    received = today.positives / today.rows if today.rows else None
    message = (
        f"{_subject(channel, today)}: expected at least {drift.min_history_days} days of history to compare with, "
        f"received {days}; no alert is possible yet."
    )
    return DriftResult(
        channel=channel, alert=False, basis="too little history", days=days, message=message, received=received
    )


def _cause(result: DriftResult) -> str:
    """Tell a person what happened, how sure that is, and what to check first."""
    if result.received is None or result.effect is None or result.z is None:
        return "No impressions on a weekday that usually has some. Check first whether the channel's files landed."
    what = f"The odds of a positive {'rose' if result.effect > 0 else 'fell'} by {100 * abs(result.effect):.0f} %"
    sure = f"{abs(result.z):.1f} standard errors from the level of {_history(result.days, result.basis)}"
    if result.received == 0:
        check = "Not one positive came in. Check first whether the outcome logger runs and its files landed."
    elif result.effect < 0:
        check = "Check first whether the outcome logger lost events or its files landed late."
    else:
        check = "Check first for bots and for impressions that are missing while their outcomes are there."
    return f"{what}, {sure}. {check}"


def _subject(channel: str, today: DayRatio) -> str:
    """Begin a message with the number that it is about."""
    return f"Positive ratio of channel '{channel}' on {today.day}"


def _history(days: int, basis: Basis) -> str:
    """Name the days that an expectation rests on."""
    return f"{days} {basis if basis == 'same weekdays' else 'days'} of history"


def _percent(ratio: float) -> str:
    """Write a ratio in per cent with two decimals, so that expected, band and received line up."""
    return f"{100 * ratio:.2f} %"


def _smallest_alerting_change(alerts: Callable[[float], bool], sign: int) -> float:
    """Find the smallest change of the log-odds in a direction that alerts, by bisection; infinite if none does."""
    quiet, loud = 0.0, 30.0  # e³⁰: no odds of real traffic change by more
    if not alerts(sign * loud):
        return sign * float("inf")
    for _ in range(60):  # 30 / 2⁶⁰ is below what a double can tell apart here
        middle = (quiet + loud) / 2
        quiet, loud = (quiet, middle) if alerts(sign * middle) else (middle, loud)
    return sign * loud


def _seen_ratio(log_odds: float, rows: int) -> float:
    """Return the ratio k/n, in [0, 1], whose log-odds with half counts are the given ones: undoes DayRatio.log_odds."""
    return min(1.0, max(0.0, (_probability(log_odds) * (rows + 1) - 0.5) / rows))


def _probability(log_odds: float) -> float:
    """Turn log-odds into a probability without overflow."""
    return exp(-_softplus(-log_odds))


def _softplus(x: float) -> float:
    """ln(1 + eˣ) without overflow."""
    return max(x, 0.0) + log1p(exp(-abs(x)))
