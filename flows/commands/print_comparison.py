"""Print a comparison of ways to train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ctr_retrain.flows.commands.terminal import SafeConsole, figure_text, print_line
from ctr_retrain.models.documents.comparison_documents import COLUMNS, CRITERIA
from ctr_retrain.models.documents.evaluation_documents import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctr_retrain.models.documents.comparison_documents import (
        ComparedStrategy,
        ComparisonAnswer,
        CorrectedDifference,
        Criterion,
        DifferencePart,
    )

# A terminal of 80 letters has room for few columns; the report shows all metrics.
SHOWN_COLUMNS = [name for name in COLUMNS if METRICS[name].in_terminal]


def print_comparison(answer: ComparisonAnswer) -> None:
    """Print each strategy's figures and its differences from the first, then the recommendation.

    The first line is a warning, where networks have not converged.
    """
    again = " (recorded before)" if answer.recorded else ""
    judged, seeds, days = sum(day.positives for day in answer.days), len(answer.seeds), len(answer.days)
    console = SafeConsole()
    if answer.not_converged:
        print_line(f"[yellow]{escape(answer.not_converged)}[/yellow]")
    console.print(f"{answer.date}  {days} day(s), {seeds} seed(s), {judged:,} positives to judge by{again}")
    console.print(_figures(answer))
    console.print(_differences(answer))
    for point in answer.freshness_curve:
        if delta := point.delta:
            print_line(f"data {point.age_days} day(s) older: log loss {_interval(delta, 5)}, p {delta.p:.3g}")
    for simple in answer.yardsticks:
        colour = "yellow" if not simple.worth_it else "green"
        print_line(f"[{colour}]beside simple models[/{colour}]: {escape(simple.message)}")
    for what, why in answer.left_out.items():
        print_line(f"[yellow]{what} left out[/yellow]: {escape(why)}")
    recommended = answer.recommendation
    name = f"[green]{recommended.name}[/green]" if recommended.name else "[yellow]not separated[/yellow]"
    print_line(f"{name}: {escape(recommended.message)}")
    print_line(f"report   {escape(answer.report)}")


def _figures(answer: ComparisonAnswer) -> Table:
    """Return the table of each strategy's metrics and time, or the reason why it has none."""
    columns = [METRICS[name].column for name in SHOWN_COLUMNS]
    table = Table("strategy", *columns, "seconds", box=SIMPLE_HEAD)
    # A name that is broken over two lines is not found again in the report.
    table.columns[0].no_wrap = True
    for entry in answer.strategies:
        table.add_row(_name(entry), *_figure_cells(entry))
    return table


def _figure_cells(entry: ComparedStrategy) -> list[str]:
    if entry.metrics is None:
        return [f"[red]{escape(entry.failure or '')}[/red]"]
    figures = dict(entry.metrics)
    shown = [figure_text(figures[name], f"{{:.{METRICS[name].digits}f}}") for name in SHOWN_COLUMNS]
    return [*shown, figure_text(entry.seconds, "{:.1f}")]


def _differences(answer: ComparisonAnswer) -> Table:
    """Return the table of each strategy's differences from the first one."""
    headings = (title for criterion in CRITERIA for title in (METRICS[criterion].column, "p"))
    table = Table(f"less {answer.strategies[0].name}", *headings, box=SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    table.caption = "± of each comparison alone; p after Holm's correction; * the recipe's own"
    for entry in answer.strategies:
        if entry.delta:
            cells = [text for criterion in CRITERIA for text in _difference_cells(entry.delta[criterion], criterion)]
            table.add_row(_name(entry), *cells)
    return table


def _difference_cells(delta: CorrectedDifference, criterion: Criterion) -> Iterator[str]:
    yield _interval(delta, METRICS[criterion].digits)
    yield f"{delta.p_holm:.2g}"


def _name(entry: ComparedStrategy) -> str:
    return f"{entry.name} *" if entry.own else entry.name


def _interval(delta: DifferencePart, digits: int) -> str:
    """Write a difference and how far its interval reaches to either side."""
    reach = "∞" if delta.high is None else f"{delta.high - delta.value:.{digits}f}"
    return f"{delta.value:+.{digits}f} ± {reach}"
