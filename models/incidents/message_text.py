"""Words of a message: the first line says what and since when, then what to look at, what to type, where to read on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from ctr_retrain.models.incidents.incident import ChangeName
from ctr_retrain.models.incidents.message import Message
from ctr_retrain.models.incidents.signal import SignalKind

CHANGES: Mapping[ChangeName, str] = {
    "opened": "",
    "worse": "worse: ",
    "wider": "wider: ",
    "resolved": "over: ",
    "reopened": "again: ",
    "named": "cause found: ",
}
# The figure that a kind is about, under the name that documents of a day's alerts give it.
FIGURES: Mapping[SignalKind, str] = dict.fromkeys(
    ("ratio_changed", "logger_down", "slice_changed", "slide", "campaign_dead", "bots"), "positive_ratio"
)


def first_line(message: Message) -> str:
    """Return what happened and since when, for a telephone's screen."""
    level = "OVER" if message.change == "resolved" else message.level.upper()
    about = f", {message.subject}" if message.subject else ""
    said = "" if message.change == "resolved" else CHANGES[message.change]
    return f"{level} {message.recipe}{about}, since {in_words(message.since)}: {said}{message.summary}"


def body(message: Message) -> str:
    """Return what to look at, the commands to type, and where to read on."""
    over = [f"It is over: the run for {in_words(message.date)} looked and found it no more."]
    if message.new_normal:
        over = [f"It is over: from {in_words(message.date)} on the days since then teach what is expected."]
    parts = [
        *(over if message.change == "resolved" else []),
        *message.details,
        *([f"Touched: {', '.join(message.touches)}."] if message.touches else []),
        *(f"Type: {command}" for command in message.commands),
        f"Report: {message.report}",
        f"Runbook: {message.runbook}",
        f"Message {message.id} of incident {message.incident}.",
    ]
    return "\n".join(parts)


def whole_text(message: Message) -> str:
    """Return first line and body, for receivers that take one text."""
    return f"{first_line(message)}\n\n{body(message)}"


def webhook_document(message: Message) -> dict[str, Any]:
    """Return the JSON document of a webhook: the day's alert under the keys of the contract, and the whole message."""
    plain = message.to_json()
    alert = {
        "name": FIGURES.get(message.kind, message.kind),
        "level": message.level,
        "channel": message.channel or message.subject,
        "expected": plain["expected"],
        "received": message.received,
        "cause": message.summary,
    }
    return {**plain, "alerts": [alert], "text": whole_text(message)}


def in_words(day: date) -> str:
    """Write a day as people say it: 22 March 2026."""
    return f"{day.day} {day:%B %Y}"
