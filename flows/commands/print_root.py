"""Print what stands under a root, incidents among it, what went from it, and what a night's run needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ctr_retrain.flows.commands.terminal import SafeConsole, figure_text, level_text, print_line, verdict_text

if TYPE_CHECKING:
    from ctr_retrain.models.documents.bundle_documents import ModelsAnswer, ScoreAnswer
    from ctr_retrain.models.documents.command_documents import (
        DoctorAnswer,
        GarbageAnswer,
        VerifyAnswer,
    )
    from ctr_retrain.models.incidents.alert_answers import (
        AlertsAnswer,
        AlertsTestAnswer,
        HandledAnswer,
        TaughtModel,
        WatchAnswer,
    )
    from ctr_retrain.models.incidents.incident import Handled, Incident
    from ctr_retrain.models.incidents.status_answer import LeaseState, StatusAnswer

SHOWN_TAUGHT = 5  # models that have learnt from an incident's days; --json has all
SHOWN_PAST = 10  # incidents that are over, the newest; --json has all


def print_models(answer: ModelsAnswer) -> None:
    """Print all models, newest first."""
    if not answer.models:
        print_line("no models yet")
        return
    table = Table("version", "data through", "verdict", "state", "cost / 1,000", box=SIMPLE_HEAD)
    for model in answer.models:
        cost = figure_text(model.cost_per_1000, "{:+.2f}")
        table.add_row(model.version, str(model.data_through or ""), verdict_text(model.decision), model.state, cost)
    SafeConsole().print(table)


def print_scored(answer: ScoreAnswer) -> None:
    """Print what was scored, and the columns that the model would have read and the file lacks."""
    for name, value in (("model", answer.model), ("rows", f"{answer.rows:,}"), ("output", answer.output)):
        print_line(f"{name:8}{escape(value)}")
    for column, values in answer.unreadable.items():
        found = f"{values.rows:,} of {values.values:,} values of {column}, such as {values.example!r}"
        print_line(f"[yellow]warning[/yellow] can't be read and count as missing: {escape(found)}")
    if answer.absent_columns:
        absent = escape(", ".join(answer.absent_columns))
        print_line(
            f"[yellow]warning[/yellow] the file lacks {absent}, which the model reads: "
            "each row counts as missing there. If only an outcome fills such a column, the model learnt from a leak"
        )


def print_status(answer: StatusAnswer) -> None:
    """Print the state of a root: what is wrong and what to type first, then what serves and how the nights went."""
    for problem in answer.problems:
        print_line(f"[red]{escape(problem.message)}[/red]")
        print_line(f"  type: {escape(problem.command)}")
    for name, value in _fields(answer):
        print_line(f"{name:22}{escape(_text(value))}")
    if yardstick := answer.yardstick:
        colour = "green" if yardstick.worth_it else "yellow"
        print_line(f"{yardstick.date}  [{colour}]beside simple models[/{colour}]  {escape(yardstick.message)}")
    for incident in answer.incidents:
        about = escape(f"{incident.kind} {incident.subject}".strip())
        print_line(f"{incident.since}  {level_text(incident.level)}  {about}  {escape(incident.message)}")
    for day in answer.rejected_days:
        print_line(f"{day.date}  [red]data rejected[/red]  {escape(day.reason)}")
    for incomplete in answer.incomplete_outcomes:
        print_line(f"{incomplete.day}  [yellow]outcomes missing[/yellow]  {escape(incomplete.message)}")
    _print_nights(answer)


def _fields(answer: StatusAnswer) -> list[tuple[str, object]]:
    """Return the lines of a status that are a name and a value."""
    age, by_calendar = answer.champion_data_age_days, answer.champion_calendar_age_days
    through, disk, due = answer.champion_data_through, answer.disk, answer.next_run
    ago = "" if by_calendar is None else f", {by_calendar} day{'' if by_calendar == 1 else 's'} ago"
    return [
        ("root", answer.root),
        ("recipe", answer.recipe),
        ("champion", answer.champion),
        ("champion data through", through and f"{through}{ago}"),
        ("newest day", answer.newest_day),
        ("champion data age", None if age is None else f"{age} day{'' if age == 1 else 's'}"),
        ("under way", _lease_text(answer.lease)),
        ("next run", due and f"{due.at}, for {due.day}, where `serve` runs"),
        ("disk", disk and f"{disk.free_gib:.1f} GiB left at {disk.folder}"),
        ("log", answer.attempts[0].log or "where it was started" if answer.attempts else None),
        ("Prefect server", answer.server.message if answer.server else "none is named (PREFECT_API_URL)"),
    ]


def _lease_text(lease: LeaseState | None) -> str | None:
    """Say which run has the root to itself, and if it lives."""
    if lease is None:
        return None
    age = lease.beat_age_seconds
    beat = "" if age is None else f", last sign of life {age:.0f} s ago"
    dead = "" if lease.alive else ": it is dead, and the next run takes over"
    return f"{lease.command} of {lease.who} on {lease.host} (process {lease.process}) since {lease.since}{beat}{dead}"


def _print_nights(answer: StatusAnswer) -> None:
    """Print the newest days, newest first: how the newest attempt at each went, and the verdict that it has."""
    runs, tried = {run.date: run for run in answer.runs}, {one.date: one for one in answer.attempts}
    table = Table("day", "run", "verdict", "why", box=SIMPLE_HEAD)
    for day in sorted(runs.keys() | tried.keys(), reverse=True):
        run, attempt = runs.get(day), tried.get(day)
        state = attempt.state if attempt else ""
        # What went wrong after a verdict is told beside it: the verdict still counts.
        why = [run.reason if run else "", attempt.error if attempt else ""]
        verdict = verdict_text(run.decision) if run else ""
        table.add_row(
            str(day), f"[{_STATES.get(state, 'default')}]{state}[/]", verdict, escape("; ".join(filter(None, why)))
        )
    if table.rows:
        SafeConsole().print(table)


_STATES = {"failed": "red", "killed": "red", "rejected": "red", "running": "blue", "done": "green"}  # and their colours


def print_incidents(answer: AlertsAnswer) -> None:
    """Print open incidents with what to do, and the newest past ones, a line each."""
    for incident in answer.open:
        _print_open(incident)
        for model in answer.taught.get(incident.id, ())[:SHOWN_TAUGHT]:
            print_line(f"    {_taught_text(model)}")
    for silenced in answer.silenced:
        print_line(_said(silenced))
    for incident in answer.past[:SHOWN_PAST]:
        about = escape(f"{incident.kind} {incident.subject}".strip())
        print_line(f"{incident.since} to {incident.resolved}  over  {about}  {escape(incident.summary)}")
    if not answer.open:
        print_line("no open incident")


def print_watched(answer: WatchAnswer) -> None:
    """Print what is amiss now, with what to do, and how many incidents are open in all."""
    for signal in answer.signals:
        print_line(f"[red]{signal.level}[/red] {escape(signal.summary)}")
        for line in (*signal.details, *(f"type: {command}" for command in signal.commands)):
            print_line(f"  {escape(line)}")
    print_line(f"{len(answer.open)} open incident{'' if len(answer.open) == 1 else 's'}; see alerts list")


def print_handled(answer: HandledAnswer) -> None:
    """Print what was said, and the open incidents that it is about."""
    for one in answer.handled:
        print_line(_said(one))
    for incident in answer.incidents:
        print_line(f"  open since {incident.since}: {escape(incident.summary)}")


def print_tried(answer: AlertsTestAnswer) -> None:
    """Print what each receiver answered."""
    for one in answer.receivers:
        mark = "[green]✓[/green]" if one.taken else "[red]✗[/red]"
        print_line(f"{mark} {escape(one.name)}, {level_text(one.level)}: {escape(one.message)}")


def print_garbage(answer: GarbageAnswer) -> None:
    """Print what was removed, or would be, and how much stays."""
    done = "would remove" if answer.dry_run else "removed"
    for path in answer.removed:
        print_line(f"{done} {escape(path)}")
    print_line(f"{done} {len(answer.removed)} objects; {answer.kept} stay")


def print_verified(answer: VerifyAnswer) -> None:
    """Print what is damaged, and how much was read."""
    for damage in answer.damaged:
        print_line(f"[red]✗[/red] {escape(damage.path)}: {escape(damage.message)}")
    print_line(
        f"{answer.refs} refs, {answer.objects} objects, {answer.files} files, {answer.size:,} bytes read; "
        f"{len(answer.damaged)} damaged"
    )


def print_checks(answer: DoctorAnswer) -> None:
    """Print what was checked and what to mend."""
    for check in answer.checks:
        mark = "[green]✓[/green]" if check.passed else "[red]✗[/red]"
        print_line(f"{mark} {check.name}: {escape(check.message)}")


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _print_open(incident: Incident) -> None:
    """Print an open incident, what to look at and what to type."""
    about = escape(f"{incident.kind} {incident.subject}".strip())
    print_line(f"{incident.since}  {level_text(incident.level)}  {about}  {escape(incident.summary)}")
    for detail in incident.details:
        print_line(f"    {escape(detail)}")
    for command in incident.commands:
        print_line(f"    {escape(command)}")


def _taught_text(model: TaughtModel) -> str:
    """Say on how many days of an incident a model has trained."""
    serves = "in service, " if model.champion else ""
    first, last = model.days[0], model.days[-1]
    return f"{serves}{escape(model.version)} has trained on {len(model.days)} of its days, {first} to {last}"


def _said(one: Handled) -> str:
    """Return what somebody said to a cause, on a line."""
    about = escape(f"{one.kind} {one.subject}" if one.subject is not None else f"{one.kind}, all of that kind")
    until = f" until {one.until}" if one.until else ""
    normal = " as the normal state from the next run on" if one.new_normal else ""
    return f"{one.what}{normal}{until}: {about}, by {escape(one.by)}: {escape(one.reason)}"
