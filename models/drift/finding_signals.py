"""Findings as signals: what happened, since when, how sure that is, what to look at and what to type."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.drift.faults import subject_of
from ctr_retrain.models.incidents.signal import Signal, SignalKind
from ctr_retrain.models.number_format import fixed, number, percent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from ctr_retrain.models.drift.channel_watch import Finding
    from ctr_retrain.models.drift.faults import Aspect
    from ctr_retrain.models.incidents.incident import Handled
    from ctr_retrain.models.incidents.signal import SignalLevel
    from ctr_retrain.models.levels.drift_days import ChannelSeries

# What a night looks for in its counts; one of these that is not found any more is over.
DRIFT_KINDS: tuple[SignalKind, ...] = (
    "ratio_changed",
    "logger_down",
    "slice_changed",
    "slide",
    "bots",
    "delivered_twice",
    "files_missing",
    "volume_changed",
    "campaign_dead",
    "mix_changed",
    "rows_unusual",
)
NAMES: dict[Aspect, str] = {
    "ratio": "positive_ratio",
    "contrast": "positive_ratio",
    "volume": "impressions",
    "share": "impressions",
}
NOTABLE_MIX = 0.25  # of a ratio's change: below, the mix is not worth a word

# What to look at first, by the kind of a finding.
CHECKS: dict[SignalKind, str] = {
    "ratio_changed": "Check first whether the outcome logger lost events or its files landed late.",
    "logger_down": "Check first the outcome logger of this slice: the others are as usual.",
    "slice_changed": "The others are as usual: check what was changed about this one.",
    "slide": "No single day shows it: check what has been rolled out step by step since then.",
    "bots": "Check first for bots: their impressions came on top, and nobody clicks.",
    "delivered_twice": "Check first whether the files were delivered twice under other ids.",
    "files_missing": "Check first whether all files and hours landed.",
    "volume_changed": "Check first whether traffic changed or files came twice.",
    "campaign_dead": "Check first its link, its creative and its tracking.",
    "mix_changed": "Check whether this was meant: a model that learns from it sees other traffic.",
}
FOLLOWS = "What is expected follows these days from now on; a further change is told anew."
NOTHING = "Not one positive came in. Check first whether the outcome logger runs and its files landed."
RISE = "Check first for bots that click, and for impressions that are missing while their outcomes are there."


def signal_of(series: ChannelSeries, finding: Finding, day: date, more: tuple[str, ...] = ()) -> Signal:
    """Put a finding into words; more: sentences of others, such as what it costs to act wrongly."""
    fault, explained = finding.fault, finding.explained
    subject = subject_of(series, fault)
    return Signal(
        kind=fault.kind,
        subject=subject,
        level=_level(finding),
        since=series.days[fault.since],
        size=abs(1 - exp(fault.effect)) if fault.effect < 0 else exp(fault.effect) - 1,
        summary=_summary(series, finding, series.days[fault.since]),
        touches=(subject.removeprefix(series.channel).strip(),) if fault.of_slice else (),
        channel=series.channel,
        expected=(explained.low, explained.high),
        received=received(finding),
        details=(FOLLOWS, *more) if finding.said else (*_details(finding), *more),
        instead_of=(fault.instead_of, series.channel) if fault.instead_of else None,
        commands=(f"ctr-retrain explain {day}", *(() if finding.new_normal else _decisions(fault.kind, subject, day))),
        new_normal=finding.new_normal,
    )


def _decisions(kind: SignalKind, subject: str, day: date) -> tuple[str, ...]:
    """Return the commands by which a person decides on a fault."""
    return (
        f"ctr-retrain accept --date {day} --reason TEXT",
        f"ctr-retrain alerts ack {kind} '{subject}' --reason TEXT",
    )


def normal_sentence(about: str, said: Handled | None) -> str:
    """Say that something is the normal state from now on, and who said so; about: it, since when, with a verb."""
    by = f", as {said.by} said ({said.reason})" if said else ""
    return f"{about} the normal state from now on{by}."


def merged(signals: Sequence[tuple[ChannelSeries, Finding, Signal]]) -> tuple[Signal, ...]:
    """Return the signals of all channels, one for a slice that several channels find changed: its logger is one.

    It goes by the channel that found it first, and says what the others show.
    """
    found: dict[tuple[str, ...], list[tuple[ChannelSeries, Finding, Signal]]] = {}
    for series, finding, signal in signals:
        alike = not finding.new_normal and finding.fault.aspect == "contrast"
        about = subject_of(series, finding.fault).removeprefix(series.channel) if alike else signal.subject
        found.setdefault((signal.kind, about), []).append((series, finding, signal))
    return tuple(_as_one(parts) for parts in found.values())


def _as_one(parts: Sequence[tuple[ChannelSeries, Finding, Signal]]) -> Signal:
    """Put one slice's signals of several channels into one."""
    first, *others = [signal for _, _, signal in sorted(parts, key=lambda part: part[1].fault.opened)]
    before = next((signal.instead_of for signal in (first, *others) if signal.instead_of), None)
    update = {
        "since": min(signal.since for signal in (first, *others)),
        "touches": (*first.touches, *(signal.subject for signal in others)),
        "details": (*(f"Also {signal.subject}: {signal.summary}" for signal in others), *first.details),
        "instead_of": before,
    }
    return first.model_copy(update=update) if others else first


def alert_of(series: ChannelSeries, finding: Finding) -> Alert | None:
    """Return the alert of a finding, which documents of a day hold; None of a notice."""
    level = _level(finding)
    if level == "notice":
        return None
    return Alert(
        name=NAMES[finding.fault.aspect],
        level=level,
        channel=series.channel,
        expected=(finding.explained.low, finding.explained.high),
        received=received(finding),
        cause=" ".join([_summary(series, finding, series.days[finding.fault.since]), *_details(finding)]),
    )


def received(finding: Finding) -> float:
    """Return the figure that a finding is about: a ratio of positives, or impressions."""
    return finding.explained.rows if finding.fault.aspect in {"volume", "share"} else _ratio(finding)[0]


def _level(finding: Finding) -> SignalLevel:
    """Return the urgency: people are called where nothing came in at all, and nobody is told of a new normal."""
    fault, explained = finding.fault, finding.explained
    if finding.new_normal or fault.kind == "mix_changed":
        return "notice"
    nothing = explained.rows == 0 if fault.aspect == "volume" else explained.positives == 0
    return "critical" if nothing and not fault.of_slice else "warning"


def _summary(series: ChannelSeries, finding: Finding, since: date) -> str:
    """Say in one sentence what happened, since when."""
    fault, explained = finding.fault, finding.explained
    subject = subject_of(series, fault)
    of = f" of {subject.removeprefix(series.channel).strip()}" if fault.of_slice else ""
    if finding.new_normal:
        return normal_sentence(f"What {subject} has shown since {since} is taken for", finding.said)
    if fault.aspect in {"volume", "share"}:
        way = "rose" if fault.effect > 0 else "fell"
        figures = f"{number(explained.rows)} instead of {number(explained.expected_rows)}"
        return f"Impressions{of} {way} ({figures}) since {since}{_named(finding)}."
    way = "rose" if fault.effect > 0 else "fell"
    received, expected = _ratio(finding)
    figures = f"{percent(received)} instead of {percent(expected)}"
    by = fixed(abs(100 * (exp(fault.effect) - 1)), 0)
    return f"The odds of a positive{of} {way} by {by} % ({figures}) since {since}{_named(finding)}."


def _named(finding: Finding) -> str:
    """Name the likely cause within a summary."""
    names: dict[SignalKind, str] = {
        "logger_down": ": its outcome logger loses events",
        "bots": ": bots",
        "delivered_twice": ": files were delivered twice",
        "files_missing": ": files or hours are missing",
        "campaign_dead": ": the campaign lost its clicks",
        "slide": ", sliding from day to day",
        "mix_changed": ", with their usual ratio",
    }
    return names.get(finding.fault.kind, "")


def _ratio(finding: Finding) -> tuple[float, float]:
    """Return the received and the expected ratio of what a finding is about."""
    explained = finding.explained
    if not finding.fault.of_slice:
        return explained.channel_ratio, explained.expected_ratio
    rows = max(explained.rows, 1.0)
    return explained.positives / rows, explained.expected_positives / max(explained.expected_rows, 1.0)


def _details(finding: Finding) -> tuple[str, ...]:
    """Say what to check, how sure it is, and what part of the channel's change it explains."""
    fault, explained = finding.fault, finding.explained
    check = RISE if fault.kind in {"ratio_changed", "slice_changed"} and fault.effect > 0 else CHECKS[fault.kind]
    check = NOTHING if fault.aspect == "ratio" and not explained.positives else check
    details = [check, f"Today it lies {fixed(abs(explained.errors), 1)} standard errors from its level."]
    if fault.of_slice and explained.share is not None:
        what = "impressions" if fault.aspect == "share" else "positives"
        details.append(f"It explains {fixed(100 * explained.share, 0)} % of the change of its channel's {what}.")
    if fault.aspect == "ratio" and explained.mix is not None:
        part = explained.mix / fault.effect
        if part > NOTABLE_MIX:
            mix = fixed(100 * min(part, 1.0), 0)
            details.append(f"Other shares of the slices explain {mix} % of it (mix), the rest is their ratios (rate).")
        else:
            details.append("The slices' shares are as usual: their ratios changed (rate, not mix).")
    return tuple(details)
