"""Documents as a person wants to read them in a terminal."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

COLORS = {"promote": "green", "hold": "yellow", "reject": "red"}
WORDS = {"promote": "promoted", "hold": "held", "reject": "rejected"}


def pairs(document: dict[str, Any]) -> None:
    """A document of plain values, a line each."""
    table = Table(show_header=False, box=None)
    for name, value in document.items():
        table.add_row(name.replace("_", " "), escape(str(value)))
    _console().print(table)


def ingested(document: dict[str, Any]) -> None:
    """What came in on a day, and what became of it."""
    table = Table("", "received", "kept", "duplicates", "quarantined", title=f"Landed on {document['date']}")
    for stream in ("impressions", "outcomes"):
        table.add_row(stream, *(f"{value:,}" for value in document[stream].values()))
    _console().print(table)
    for file, reason in document["unreadable"].items():
        _console().print(f"[red]unreadable[/red] {escape(file)}: {escape(reason)}")


def run(document: dict[str, Any]) -> None:
    """One run: verdict and reasons first, then the figures."""
    verdict = document["verdict"]
    console = _console()
    again = " (recorded before)" if document.get("recorded") else ""
    console.print(f"\n{document['date']}  {_verdict(verdict)}{again}\n{escape(verdict['reason'])}")
    checks = Table("check", "", "in words", box=SIMPLE_HEAD)
    for check in verdict["checks"]:
        checks.add_row(check["name"], "[green]✓[/green]" if check["passed"] else "[red]✗[/red]", escape(check["words"]))
    console.print(checks)
    for alert in document["alerts"]:
        console.print(f"[red]alert[/red] {escape(alert['cause'])}")
    if document.get("not_deployed"):
        console.print(f"[yellow]not put into service[/yellow]: {escape(document['not_deployed'])}")
    console.print(f"run      {document['run_id']}\nchampion {document['champion']}\nreport   {document['report']}")


def demo(document: dict[str, Any]) -> None:
    """The days' verdicts in a short table, and the last report."""
    table = Table("day", "verdict", "pos.", "AUC", "calibr.", "cost", "against", box=SIMPLE_HEAD)
    table.caption = "cost: per 1,000 impressions, of the challenger and of what it was compared with"
    for entry in document["runs"]:
        table.add_row(*_demo_row(entry))
    console = _console()
    console.print(table)
    console.print(f"report: {document['runs'][-1]['report']}")


def backfill(document: dict[str, Any]) -> None:
    """What became of each day."""
    table = Table("day", "outcome", "")
    for entry in document["days"]:
        table.add_row(entry["date"], entry["outcome"], escape(entry.get("run_id") or entry.get("reason") or ""))
    _console().print(table)


def models(document: dict[str, Any]) -> None:
    """All models, newest first."""
    table = Table("version", "data through", "verdict", "state", "cost / 1,000")
    for model in document["models"]:
        cost = _figure(model["cost_per_1000"], "{:+.2f}")
        table.add_row(model["version"], model["data_through"], WORDS[model["decision"]], model["state"], cost)
    _console().print(table)


def status(document: dict[str, Any]) -> None:
    """The root at a glance."""
    console = _console()
    for name in ("root", "recipe", "champion", "champion_data_through", "newest_day"):
        console.print(f"{name.replace('_', ' '):22}{escape(str(document[name]))}")
    for day in document["rejected_days"]:
        console.print(f"[red]rejected[/red] {day['date']}: {escape(day['reason'])}")
    for entry in document["runs"]:
        console.print(f"{entry['date']}  {_verdict(entry)}  {escape(entry['reason'])}")


def doctor(document: dict[str, Any]) -> None:
    """What was checked and what to mend."""
    for check in document["checks"]:
        mark = "[green]✓[/green]" if check["passed"] else "[red]✗[/red]"
        _console().print(f"{mark} {check['name']}: {escape(check['words'])}")


def _demo_row(entry: dict[str, Any]) -> list[str]:
    """A demonstration's line; a day whose data was rejected has no verdict."""
    if "error" in entry:
        return [entry["date"], "[red]data rejected[/red]", "", "", "", "", escape(entry["error"])]
    challenger, other = entry["metrics"]["challenger"], entry["metrics"]["champion"]
    if challenger is None:
        return [entry["date"], _verdict(entry["verdict"]), "", "", "", "", "nothing trained"]
    opponent = other or entry["metrics"]["constant"]
    return [
        entry["date"],
        _verdict(entry["verdict"]),
        f"{challenger['positives']:,}",
        _figure(challenger["auc"], "{:.3f}"),
        _figure(challenger["calibration_ratio"], "{:.2f}"),
        _figure(challenger["cost_per_1000"], "{:+.2f}"),
        _figure(opponent and opponent["cost_per_1000"], "{:+.2f}") + (" champion" if other else " constant rate"),
    ]


def _verdict(verdict: dict[str, Any]) -> str:
    decision = verdict["decision"]
    first = ", first" if verdict.get("bootstrap") else ""
    return f"[{COLORS[decision]}]{WORDS[decision]}[/]{first}"


def _figure(value: float | None, pattern: str) -> str:
    return "-" if value is None else pattern.format(value)


def _console() -> Console:
    return Console()
