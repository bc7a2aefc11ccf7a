"""Print what became of a day's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ctr_retrain.flows.commands.terminal import SafeConsole, print_line, verdict_text
from ctr_retrain.models.number_format import percent

if TYPE_CHECKING:
    from ctr_retrain.models.documents.command_documents import InitAnswer, LandAnswer
    from ctr_retrain.models.documents.day_documents import IngestAnswer, ValidationAnswer


def print_first_recipe(answer: InitAnswer) -> None:
    """Print what a first recipe rests on, what to check, and what to type next."""
    outcomes = ", ".join(f"{column} ({kind})" for kind, column in answer.outcomes.items())
    found = {"time": answer.time, "event_id": answer.event_id, "user_id": answer.user_id or "-"}
    found |= {"campaign_id": answer.campaign_id or "-", "channels": ", ".join(answer.channels), "outcomes": outcomes}
    for name, value in found.items():
        print_line(f"{name:13}{escape(value)}")
    print_line(f"{'rows':13}{answer.rows:,}")
    # Both ratios in one line: most people are surprised by one of the two.
    worth = "sending pays" if answer.seen_rate > answer.break_even_rate else "choosing whom to send to has to pay"
    print_line(
        f"{'break-even':13}{percent(answer.break_even_rate)} of positives; seen {percent(answer.seen_rate)}: {worth}"
    )
    for doubt in answer.unsure:
        print_line(f"[yellow]check[/yellow] {escape(doubt)}")
    # With a question mark: figures say that a column tells too much, not why.
    for feature, reason in answer.leaks.items():
        print_line(f"[red]leak?[/red] {escape(feature)}: {escape(reason)}")
    for column, reason in answer.left_out.items():
        print_line(f"left out {escape(column)}: {escape(reason)}")
    missing = f", once {answer.missing_days} more day(s) have landed" if answer.missing_days else ""
    print_line(f"first day with a full verdict: {answer.first_verdict_day}{missing}")
    if answer.verdict_reason is not None:
        verdict = verdict_text(answer.verdict or "not run")
        print_line(f"{answer.first_verdict_day}  {verdict}: {escape(answer.verdict_reason)}")
    print_line(f"recipe {escape(answer.recipe)}; next:")
    for command in answer.next_commands:
        print_line(f"  {escape(command)}")


def print_landed(answer: LandAnswer) -> None:
    """Print what one file became, by day."""
    streams = {"rows": answer.rows} | ({"outcomes": answer.outcomes} if answer.outcomes else {})
    table = Table("day", *streams, box=SIMPLE_HEAD)
    for day in sorted(set().union(*streams.values())):
        table.add_row(str(day), *(f"{rows.get(day, 0):,}" for rows in streams.values()))
    SafeConsole().print(table)
    if answer.malformed:
        print_line(f"[yellow]malformed[/yellow] {answer.malformed:,} lines landed too, for ingest to quarantine")
    print_line(f"landing {escape(answer.landing)}")
    if answer.rows:
        print_line(f"next: ctr-retrain doctor, then ctr-retrain daily --date {max(answer.rows)}")


def print_ingested(answer: IngestAnswer) -> None:
    """Print what came in on a day, and what became of it."""
    table = Table(str(answer.date), "received", "kept", "duplicates", "quarantined", box=SIMPLE_HEAD)
    for stream, rows in (("impressions", answer.impressions), ("outcomes", answer.outcomes)):
        counts = (rows.received, rows.kept, rows.duplicates, rows.quarantined)
        table.add_row(stream, *(f"{count:,}" for count in counts))
    SafeConsole().print(table)
    for file, reason in answer.unreadable.items():
        print_line(f"[red]unreadable[/red] {escape(file)}: {escape(reason)}")
    # Rather another file than was expected than a good one with bad rows: who exports it has to know its name.
    for file, share in answer.mostly_quarantined.items():
        print_line(f"[red]mostly quarantined[/red] {escape(file)}: {escape(share)}")
    for file, reason in answer.not_read.items():
        print_line(f"[yellow]not read[/yellow] {escape(file)}: {escape(reason)}")
    for column, values in answer.unreadable_values.items():
        found = f"{values.rows:,} of {values.values:,} values, such as {escape(repr(values.example))}"
        print_line(f"[yellow]unreadable[/yellow] {escape(column)}: {found}, which count as missing")
    if answer.without_label:
        print_line(f"[yellow]without a label[/yellow] {answer.without_label:,} impressions, which train nothing")
    if answer.attribution is not None and answer.attribution.words:
        print_line(f"[yellow]outcomes[/yellow] {escape(answer.attribution.words)}")
    for notice in answer.notices:
        print_line(f"[yellow]notice[/yellow] {escape(notice)}")
    for warning in answer.known_afterwards.values():
        print_line(f"[yellow]warning[/yellow] {escape(warning)}")


def print_validated(answer: ValidationAnswer) -> None:
    """Print that a day may enter training, and the expectations that it failed all the same."""
    who = "" if answer.accepted_by == "validation" else f" by {escape(answer.accepted_by)}"
    why = "" if answer.reason is None else f": {escape(answer.reason)}"
    met = answer.evaluated - len(answer.failed)
    print_line(f"{answer.date}  [green]accepted[/green]{who}{why}; {met} of {answer.evaluated} expectations met")
    for finding in answer.failed:
        print_line(f"[red]✗[/red] {escape(finding.words)}")
    if answer.data_docs is not None:
        print_line(f"data docs {escape(answer.data_docs)}")
