"""Print the commands' documents for a person at a terminal."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ctr_retrain.models.documents.comparison_documents import COLUMNS, CRITERIA
from ctr_retrain.models.documents.evaluation_documents import METRICS

COLORS = {"promote": "green", "hold": "yellow", "reject": "red"}
SHOWN_COLUMNS = [name for name in COLUMNS if METRICS[name].in_terminal]  # of a comparison
# Outcomes of a backfill that are not here, such as "data rejected", are printed as they are.
WORDS = {"promote": "promoted", "hold": "held", "reject": "rejected"}


def pairs(document: dict[str, Any]) -> None:
    """Print a document of plain values, a line each."""
    width = max(len(name) for name in document) + 2
    for name, value in document.items():
        _line(f"{name.replace('_', ' '):{width}}{escape(str(value))}")


def landed(document: dict[str, Any]) -> None:
    """Print what one file became, by day."""
    streams = {"rows": document["rows"]} | ({"outcomes": found} if (found := document["outcomes"]) else {})
    table = Table("day", *streams, box=SIMPLE_HEAD)
    for day in sorted(set().union(*streams.values())):
        table.add_row(day, *(f"{rows.get(day, 0):,}" for rows in streams.values()))
    _console().print(table)
    if document["malformed"]:
        _line(f"[yellow]malformed[/yellow] {document['malformed']:,} lines landed too, for ingest to quarantine")
    _line(f"landing {escape(document['landing'])}")


def ingested(document: dict[str, Any]) -> None:
    """Print what came in on a day, and what became of it."""
    table = Table(document["date"], "received", "kept", "duplicates", "quarantined", box=SIMPLE_HEAD)
    for stream in ("impressions", "outcomes"):
        table.add_row(stream, *(f"{value:,}" for value in document[stream].values()))
    _console().print(table)
    for file, reason in document["unreadable"].items():
        _line(f"[red]unreadable[/red] {escape(file)}: {escape(reason)}")


def validated(document: dict[str, Any]) -> None:
    """Print that a day may enter training, and the expectations that it failed all the same."""
    who = "" if document["accepted_by"] == "validation" else f" by {escape(document['accepted_by'])}"
    why = f": {escape(document['reason'])}" if "reason" in document else ""
    failed, evaluated = len(document["failed"]), document["evaluated"]
    _line(
        f"{document['date']}  [green]accepted[/green]{who}{why}; {evaluated - failed} of {evaluated} expectations met"
    )
    for finding in document["failed"]:
        message = f"expected {finding['expected']}, received {finding['received']}"
        _line(f"[red]✗[/red] {finding['name']}: {escape(message)}")
    if "data_docs" in document:
        _line(f"data docs {escape(document['data_docs'])}")


def run(document: dict[str, Any]) -> None:
    """Print a run: verdict and reason first, then its checks, alerts and warnings, and what serves now."""
    verdict = document["verdict"]
    console = _console()
    again = " (recorded before)" if document.get("recorded") else ""
    first = ", first champion" if verdict["bootstrap"] else ""
    console.print(f"{document['date']}  {_verdict(verdict)}{first}{again}\n{escape(verdict['reason'])}")
    checks = Table("check", "", "in words", box=SIMPLE_HEAD)
    for check in verdict["checks"]:
        checks.add_row(check["name"], "[green]✓[/green]" if check["passed"] else "[red]✗[/red]", escape(check["words"]))
    console.print(checks)
    for alert in document["alerts"]:
        console.print(f"[red]alert[/red] {escape(alert['cause'])}")
    for warning in document.get("warnings", []):
        console.print(f"[yellow]warning[/yellow] {escape(warning['words'])}")
    start = (document["training"] or {}).get("start", {})
    for message in (start.get("words"), (start.get("cold_twin") or {}).get("words")):
        if message:
            console.print(f"[yellow]to know[/yellow] {escape(message)}")
    if document.get("not_deployed"):
        console.print(f"[yellow]not put into service[/yellow]: {escape(document['not_deployed'])}")
    _line(f"serves   {escape(document['serves']['words'])}")
    # A recorded document names the champion that the challenger met; `daily` names the one in service.
    role = "champion" if "recorded" in document else "against "
    for name, value in (
        ("run     ", document["run_id"]),
        (role, document["champion"]),
        ("report  ", document["report"]),
    ):
        _line(f"{name} {escape(value or 'none')}")


def demo(document: dict[str, Any]) -> None:
    """Print the days' verdicts in a short table, and the address of the last report."""
    table = Table("day", "verdict", "pos.", "AUC", "calibr.", "cost", "against", box=SIMPLE_HEAD)
    table.caption = "cost: per 1,000 impressions, of the challenger and of what it was compared with"
    for entry in document["runs"]:
        table.add_row(*_demo_row(entry))
    _console().print(table)
    _line(f"report: {escape(document['runs'][-1]['report'])}")


def compared(document: dict[str, Any]) -> None:
    """Print each strategy's figures and its differences from the first, then the recommendation."""
    console = _console()
    again = " (recorded before)" if document.get("recorded") else ""
    judged = sum(day["positives"] for day in document["days"])
    seeds, days = len(document["seeds"]), len(document["days"])
    console.print(f"{document['date']}  {days} day(s), {seeds} seed(s), {judged:,} positives to judge by{again}")
    figures = Table("strategy", *(METRICS[name].column for name in SHOWN_COLUMNS), "seconds", box=SIMPLE_HEAD)
    headings = (title for criterion in CRITERIA for title in (METRICS[criterion].column, "p"))
    deltas = Table("less " + document["strategies"][0]["name"], *headings, box=SIMPLE_HEAD)
    for table in (figures, deltas):
        table.columns[0].no_wrap = True
    deltas.caption = "± of each comparison alone; p after Holm's correction; * the recipe's own"
    for entry in document["strategies"]:
        name = f"{entry['name']} *" if entry["own"] else entry["name"]
        figures.add_row(name, *_compared_figures(entry))
        if delta := entry["delta"]:
            shown = [(delta[criterion], METRICS[criterion].digits) for criterion in CRITERIA]
            deltas.add_row(
                name, *(text for d, digits in shown for text in (_interval(d, digits), f"{d['p_holm']:.2g}"))
            )
    console.print(figures)
    console.print(deltas)
    for point in document["freshness_curve"][1:]:
        delta = point["delta"]
        _line(f"data {point['age_days']} day(s) older: log loss {_interval(delta, 5)}, p {delta['p']:.3g}")
    for what, why in document["left_out"].items():
        _line(f"[yellow]{what} left out[/yellow]: {escape(why)}")
    recommended = document["recommendation"]
    name = f"[green]{recommended['name']}[/green]" if recommended["name"] else "[yellow]not separated[/yellow]"
    _line(f"{name}: {escape(recommended['words'])}")
    _line(f"report   {escape(document['report'])}")


def backfill(document: dict[str, Any]) -> None:
    """Print the outcome of each day of a backfill."""
    table = Table("day", "outcome", "", box=SIMPLE_HEAD)
    for entry in document["days"]:
        outcome = _verdict({"decision": entry["outcome"]}) if entry["outcome"] in WORDS else entry["outcome"]
        table.add_row(entry["date"], outcome, escape(entry.get("run_id") or entry.get("reason") or ""))
    _console().print(table)


def models(document: dict[str, Any]) -> None:
    """Print all models, newest first."""
    if not document["models"]:
        _line("no models yet")
        return
    table = Table("version", "data through", "verdict", "state", "cost / 1,000", box=SIMPLE_HEAD)
    for model in document["models"]:
        cost = _figure(model["cost_per_1000"], "{:+.2f}")
        table.add_row(model["version"], model["data_through"], _verdict(model), model["state"], cost)
    _console().print(table)


def status(document: dict[str, Any]) -> None:
    """Print the state of a root: its champion, rejected days and newest runs."""
    age = document["champion_data_age_days"]
    shown = {**document, "champion_data_age": None if age is None else f"{age} day{'' if age == 1 else 's'}"}
    for name in ("root", "recipe", "champion", "champion_data_through", "newest_day", "champion_data_age"):
        _line(f"{name.replace('_', ' '):22}{escape(shown[name] or 'none')}")
    for day in document["rejected_days"]:
        _line(f"{day['date']}  [red]data rejected[/red]  {escape(day['reason'])}")
    runs = Table("day", "verdict", "why", box=SIMPLE_HEAD)
    for entry in document["runs"]:
        runs.add_row(entry["date"], _verdict(entry), escape(entry["reason"]))
    if document["runs"]:
        _console().print(runs)


def collected(document: dict[str, Any]) -> None:
    """Print what was removed, or would be, and how much stays."""
    word = "would remove" if document["dry_run"] else "removed"
    for path in document["removed"]:
        _line(f"{word} {escape(path)}")
    _line(f"{word} {len(document['removed'])} objects; {document['kept']} stay")


def doctor(document: dict[str, Any]) -> None:
    """Print what was checked and what to mend."""
    for check in document["checks"]:
        mark = "[green]✓[/green]" if check["passed"] else "[red]✗[/red]"
        _line(f"{mark} {check['name']}: {escape(check['words'])}")


def _compared_figures(entry: dict[str, Any]) -> list[str]:
    """Return the cells of a strategy's metrics, or the reason why it has none."""
    metrics = entry["metrics"]
    if metrics is None:
        return [f"[red]{escape(entry['failure'])}[/red]"]
    shown = [_figure(metrics[name], f"{{:.{METRICS[name].digits}f}}") for name in SHOWN_COLUMNS]
    return [*shown, f"{entry['seconds']:.1f}"]


def _interval(delta: dict[str, Any], digits: int) -> str:
    """Write a difference and how far its interval reaches to either side."""
    reach = "∞" if delta["high"] is None else f"{delta['high'] - delta['value']:.{digits}f}"
    return f"{delta['value']:+.{digits}f} ± {reach}"


def _demo_row(entry: dict[str, Any]) -> list[str]:
    """Return the cells of one run of a demonstration."""
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
    return f"[{COLORS[decision]}]{WORDS[decision]}[/]"


def _figure(value: float | None, pattern: str) -> str:
    return "-" if value is None else pattern.format(value)


def _line(text: str) -> None:
    """Print a line that nothing breaks or cuts off: it may end in a path."""
    _console().print(text, soft_wrap=True)


def _console() -> Console:
    return Console()
