"""Summary of a run for pages that are not ours: a few paragraphs in Markdown, and its figures as a table."""

from __future__ import annotations

from collections.abc import Iterator

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.documents.evaluation_documents import METRICS, Metrics
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.documents.verdict_documents import Decision
from ctr_retrain.models.number_format import fixed
from ctr_retrain.models.outside_text import shown

DECIDED: dict[Decision, str] = {"promote": "promoted", "hold": "held", "reject": "rejected"}  # in the past tense


def run_summary(run: RunDocument) -> str:
    """Say in Markdown what a run decided and why, what serves now, and what somebody should look at."""
    first = ", first champion" if run.verdict.bootstrap and run.verdict.decision == "promote" else ""
    failed = [check.message for check in run.verdict.checks if not check.passed]
    paragraphs = [
        f"**{run.date}: {DECIDED[run.verdict.decision]}{first}.** {_plain(run.verdict.reason)}",
        _plain(run.serves.message),
        *_listed("Checks that did not pass", failed),
        *_listed("Alerts", [alert.cause for alert in run.alerts]),
        *_listed("Outcomes are missing", [day.message for day in run.incomplete_outcomes]),
        *_listed("Warnings", [warning.message for warning in run.warnings]),
        f"Landed: {_counted('impressions', run.ingest.impressions)}; {_counted('outcomes', run.ingest.outcomes)}.",
    ]
    return "\n\n".join(paragraphs)


def metric_rows(run: RunDocument) -> list[dict[str, str]]:
    """Return a run's figures, a row a metric: of all validation rows, then of each channel; empty where none judged."""
    challenger, champion = run.metrics.challenger, run.metrics.champion
    if challenger is None:
        return []
    opponent, name = (champion, "champion") if champion else (run.metrics.constant, "constant rate")
    rows = list(_rows("all", challenger, opponent, name))
    for channel, block in challenger.by_channel.items():
        rows += _rows(channel, block, opponent.by_channel.get(channel) if opponent else None, name)
    return rows


def _rows(channel: str, ours: Metrics, theirs: Metrics | None, name: str) -> Iterator[dict[str, str]]:
    for key, metric in METRICS.items():
        values = {
            "challenger": fixed(getattr(ours, key), metric.digits),
            name: fixed(getattr(theirs, key), metric.digits) if theirs else "-",
        }
        yield {"rows": channel, "metric": metric.title, **values}


def _counted(stream: str, counts: Counts) -> str:
    return f"{counts.received:,} {stream}, of which {counts.kept:,} are kept"


def _listed(title: str, sentences: list[str]) -> Iterator[str]:
    if sentences:
        yield f"{title}:\n" + "\n".join(f"- {_plain(sentence)}" for sentence in sentences)


def _plain(text: str) -> str:
    """Return a text from data or recipe that a page of Markdown shows as it is."""
    escaped = "".join(f"\\{letter}" if letter in r"\`*_{}[]<>#|" else letter for letter in text)
    return shown(escaped)
