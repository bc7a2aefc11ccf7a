"""Fill in a template: a page for people, whole and readable without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ctr_retrain.models.number_format import fixed, number, percent, signed

TEMPLATES = Path(__file__).parent / "templates"
WORDS = {"promote": "Promoted", "hold": "Held", "reject": "Rejected"}


def render_page(template: str, **contents: Any) -> str:
    """Fill in a template and return the page; every value that goes in is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # names of campaigns, files and reasons come from outside: they are text, whatever they hold
        undefined=StrictUndefined,  # a value that is missing is an error, not an empty cell
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, number=_shown, count=lambda n: f"{n:,}", signed=signed, fixed=fixed)
    return environment.get_template(template).render(words=WORDS, **contents)


def _shown(value: float | list[float] | None) -> str:
    """Write a check's value or bound; a dash where it has none."""
    if value is None:
        return "–"
    return " to ".join(map(number, value)) if isinstance(value, list) else number(value)
