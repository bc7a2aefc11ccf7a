"""The pieces of what a person reads at a terminal: lines, figures, verdicts, and plain documents."""

# Texts from data and recipes may hold brackets, which Rich takes for markup: each is escaped where it is printed.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from ctr_retrain.models.outside_text import shown

if TYPE_CHECKING:
    from rich.text import Text

    from ctr_retrain.models.documents.document import Document

COLORS = {"promote": "green", "hold": "yellow", "reject": "red"}  # of a decision
LEVEL_COLORS = {"notice": "blue", "warning": "yellow", "critical": "red"}
DECISIONS = {"promote": "promoted", "hold": "held", "reject": "rejected"}  # in the past tense: it has been made


class SafeConsole(Console):
    """A console on which no text acts: each, in a line or in a table, comes by `render_str`."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text with markup rendered, and with all else that would act on the terminal made visible."""
        return super().render_str(shown(text, lines=True), **options)


def print_line(text: str) -> None:
    """Print a line that nothing breaks or cuts off: it may end in a path."""
    # Rich breaks lines at the terminal's width, and a path that is broken can't be clicked or copied.
    SafeConsole().print(text, soft_wrap=True)


def print_fields(document: Document) -> None:
    """Print a document of plain values, a line each."""
    values = dict(document)
    width = max(len(name) for name in values) + 2
    for name, value in values.items():
        print_line(f"{name.replace('_', ' '):{width}}{escape(str(value))}")


def verdict_text(decision: str) -> str:
    """Return the decision on a challenger in its colour; any other outcome as it is, such as "data rejected"."""
    return f"[{COLORS[decision]}]{DECISIONS[decision]}[/]" if decision in DECISIONS else decision


def level_text(level: str) -> str:
    """Return a level in its colour."""
    return f"[{LEVEL_COLORS[level]}]{level}[/]"


def figure_text(value: float | None, pattern: str) -> str:
    """Return a figure in its form, or a dash where it is undefined."""
    return "-" if value is None else pattern.format(value)
