"""Print runs: one with its checks, or several in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ctr_retrain.flows.commands.terminal import SafeConsole, figure_text, print_line, verdict_text
from ctr_retrain.models.documents.run_documents import DailyAnswer
from ctr_retrain.models.ledger.evidence_words import evidence_words
from ctr_retrain.models.number_format import duration
from ctr_retrain.models.policies.policy_words import policy_rows, worse_words

if TYPE_CHECKING:
    from ctr_retrain.models.documents.command_documents import BackfillAnswer, BackfillPlan, DemoAnswer, PlannedDay
    from ctr_retrain.models.documents.comparison_documents import PolicyTable
    from ctr_retrain.models.documents.run_documents import RunDocument
    from ctr_retrain.models.documents.verdict_documents import Check


def print_run(run: RunDocument) -> None:
    """Print a run: verdict and reason first, then its checks, alerts and warnings, and what serves now."""
    # Only `daily` knows what came of the verdict; a stored run is shown without it.
    verdict, answer = run.verdict, run if isinstance(run, DailyAnswer) else None
    console = SafeConsole()
    again = " (recorded before)" if answer and answer.recorded else ""
    first = (
        "" if not verdict.bootstrap else ", first champion" if verdict.decision == "promote" else ", no champion yet"
    )
    console.print(f"{run.date}  {verdict_text(verdict.decision)}{first}{again}\n{escape(verdict.reason)}")
    if run.yardstick and not run.yardstick.worth_it:
        console.print(f"[yellow]{escape(run.yardstick.message)}[/yellow]")
    checks = Table("check", "", "in words", box=SIMPLE_HEAD)
    for check in sorted(verdict.checks, key=lambda check: check.passed):  # what failed first
        checks.add_row(check.name, _sign(check, run.not_known), escape(check.message))
    console.print(checks)
    for alert in run.alerts:
        console.print(f"[red]alert[/red] {escape(alert.cause)}")
    for day in run.incomplete_outcomes:
        console.print(f"[yellow]outcomes missing[/yellow] {escape(day.message)}")
    for warning in run.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(warning.message)}")
    for message in _messages_of_worth(run):
        console.print(message)
    for message in _messages_of_start(run):
        console.print(f"[yellow]to know[/yellow] {escape(message)}")
    for message in _messages_of_service(answer) if answer else ():
        console.print(message)
    print_line(f"serves   {escape(run.serves.message)}")
    # A recorded document names the champion that the challenger met; `daily` names the one in service.
    role = "champion" if answer else "against "
    for name, value in (("run     ", run.run_id), (role, run.champion), ("report  ", run.report)):
        print_line(f"{name} {escape(value or 'none')}")


def print_demo(answer: DemoAnswer) -> None:
    """Print the days' verdicts in a short table, and the address of the last report."""
    table = Table("day", "verdict", "pos.", "AUC", "calibr.", "cost", "against", box=SIMPLE_HEAD)
    table.caption = "cost: per 1,000 impressions, of the challenger and of what it was compared with"
    for run in answer.runs:
        table.add_row(*_demo_row(run))
    SafeConsole().print(table)
    for incident in answer.incidents:
        about = escape(f"{incident.kind} {incident.subject}".strip())
        end = f"over on {incident.resolved}" if incident.resolved else "open"
        print_line(f"incident since {incident.since}, {end}: {about}: {escape(incident.message)}")
    print_line(f"report: {escape(answer.runs[-1].report or 'none')}")


def print_backfill(answer: BackfillAnswer) -> None:
    """Print the outcome of each day of a backfill."""
    table = Table("day", "outcome", "", box=SIMPLE_HEAD)
    for done in answer.days:
        # "rejected" and its like are outcomes of the data, which are printed as they are.
        table.add_row(str(done.date), verdict_text(done.outcome), escape(done.run_id or done.reason or ""))
    SafeConsole().print(table)
    if answer.policies:
        _print_policies(answer.policies)


def _print_policies(policies: PolicyTable) -> None:
    """Print policies side by side, the days that say nothing of them, and what is compared."""
    if rows := policy_rows(policies):
        table = Table(*rows[0], box=SIMPLE_HEAD)
        for row in rows:
            table.add_row(*map(escape, row.values()))
        table.caption = worse_words(policies)
        SafeConsole().print(table)
    for day, why in policies.left_out.items():
        print_line(f"left out {day}: {escape(why)}")
    print_line(escape(policies.message))


def print_plan(plan: BackfillPlan) -> None:
    """Print why each day of a backfill would run, and about how long that takes."""
    table = Table("day", "why", "", "runs", "against", "about", box=SIMPLE_HEAD)
    for day in plan.days:
        makes = "nothing" if day.reason == "finished" else "all stages" if day.trains else "its data"
        table.add_row(
            str(day.date), day.reason, escape(day.detail), makes, escape(_opponent(day)), _about(day.about_seconds)
        )
    SafeConsole().print(table)
    due = sum(day.reason != "finished" for day in plan.days)
    compared = plan.policies_seconds
    of_which = "" if compared is None else f", of which about {_about(compared)} for the table of policies"
    print_line(f"{due} of {len(plan.days)} days would run, about {_about(plan.about_seconds)}{of_which}")


def _opponent(day: PlannedDay) -> str:
    """Say whom a day's challenger meets; nothing where the day doesn't train."""
    if not day.trains:
        return ""
    later = f", or what {day.champion_may_follow} brings" if day.champion_may_follow else ""
    return f"{day.champion or 'no champion'}{later}"


def _sign(check: Check, not_known: tuple[str, ...]) -> str:
    """Return the sign of a check: passed, failed, or not known, where an interval reaches both sides of its bound."""
    if check.name in not_known:
        return "[yellow]?[/yellow]"
    return "[green]✓[/green]" if check.passed else "[red]✗[/red]"


def _about(seconds: float | None) -> str:
    """Return a time in a person's units; a dash where it is unknown."""
    return "- (no night tells yet)" if seconds is None else duration(seconds)


def _messages_of_start(run: RunDocument) -> list[str]:
    """Return what there is to know about the weights from which a run's training started."""
    if run.training is None:
        return []
    start = run.training.start
    return [text for text in (start.message, start.cold_twin.message if start.cold_twin else "") if text]


def _messages_of_service(answer: DailyAnswer) -> list[str]:
    """Return what kept a model out of service, or took one out of it."""
    found = [f"[red]rolled back[/red] {escape(answer.rolled_back)}"] if answer.rolled_back else []
    if answer.champion_refresh:
        found.append(escape(answer.champion_refresh.message))
    if answer.not_deployed:
        found.append(f"[yellow]not put into service[/yellow]: {escape(answer.not_deployed)}")
    return found


def _messages_of_worth(run: RunDocument) -> list[str]:
    """Return what the network is worth over simple models, what a seed does, and which features bring nothing."""
    models = run.yardstick.models if run.yardstick else ()
    found = [f"evidence: {escape(words)}" for words in (evidence_words(run.evidence) if run.evidence else ())]
    found += [f"beside simple models: {escape(model.message)}" for model in models]
    found += [f"another seed: {escape(run.seed_noise.message)}"] if run.seed_noise else []
    found += [f"slices: {escape(run.slices.message)}"] if run.slices else []
    priced = [*(channel.message for channel in run.money.channels), run.money.message] if run.money else []
    found += [f"money: {escape(message)}" for message in priced]
    found += [f"guardrails: {escape(run.guardrails.message)}"] if run.guardrails else []
    found += [f"what the log can't show: {escape(run.log_reach.message)}"] if run.log_reach else []
    measured = run.feature_worth
    worths = [one.worth for part in (measured.features, measured.families) for one in part] if measured else []
    useless = [worth.message for worth in worths if worth.finding in ("nothing", "harms")]
    return found + [f"[yellow]features[/yellow] {escape(message)}" for message in useless]


def _demo_row(run: DailyAnswer) -> list[str]:
    """Return the cells of one run of a demonstration."""
    challenger, champion = run.metrics.challenger, run.metrics.champion
    first = [str(run.date), verdict_text(run.verdict.decision)]
    if challenger is None:
        return [*first, "", "", "", "", "nothing trained"]
    opponent = champion or run.metrics.constant
    return [
        *first,
        f"{challenger.positives:,}",
        figure_text(challenger.auc, "{:.3f}"),
        figure_text(challenger.calibration_ratio, "{:.2f}"),
        figure_text(challenger.cost_per_1000, "{:+.2f}"),
        figure_text(opponent.cost_per_1000 if opponent else None, "{:+.2f}")
        + (" champion" if champion else " constant rate"),
    ]
