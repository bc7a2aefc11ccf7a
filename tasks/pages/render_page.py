"""Fill in a template: a page for people, whole and readable without a network."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ctr_retrain.models.number_format import fixed, number, percent, signed
from ctr_retrain.models.outside_text import shown

if TYPE_CHECKING:
    from ctr_retrain.tasks.store.protocol import Store

TEMPLATES = Path(__file__).parent / "templates"
WORDS = {"promote": "Promoted", "hold": "Held", "reject": "Rejected"}


def render_page(template: str, **contents: object) -> str:
    """Fill in a template and return the page; every value that goes in is escaped."""
    return environment().get_template(template).render(words=WORDS, **contents)


@cache  # it keeps the templates that it has compiled: up to 0.1 s each
def environment() -> Environment:
    """Return the templates' environment, with the filters that they write numbers by."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        finalize=_fit,
        autoescape=True,  # names of campaigns, files and reasons come from outside: they are text, whatever they hold
        undefined=StrictUndefined,  # a value that is missing is an error, not an empty cell
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(percent=percent, number=_shown, count=lambda n: f"{n:,}", signed=signed, fixed=fixed)
    return made


def _fit(value: object) -> object:
    """Return a value without characters that reorder or hide what stands beside it; markup of our own is left as is."""
    return shown(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value


def link_from_root(store: Store, path: str, name: str) -> str:
    """Return the link to an object's file from the root's own page; relative, so that it holds in a copied root too."""
    return store.address(path, name).removeprefix(f"{store.root}/")


def _shown(value: float | tuple[float, float] | None) -> str:
    """Write a check's value or bound; a dash where it has none."""
    if value is None:
        return "–"
    return " to ".join(map(number, value)) if isinstance(value, tuple) else number(value)
