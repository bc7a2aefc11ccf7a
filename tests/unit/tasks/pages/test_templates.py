"""Rules of the templates: they read nothing but what the types of their pages have."""

import re
from dataclasses import dataclass
from typing import get_type_hints

import pytest
from jinja2 import DictLoader, Environment
from markupsafe import Markup

from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.tasks.pages.render_page import TEMPLATES, environment
from ctr_retrain.tasks.report.run_list import RunListPage
from ctr_retrain.tasks.report.run_page import RunPage
from ctr_retrain.tasks.validate.write_data_docs import DataDocsPage
from tests.support.template_types import mistakes

PAGES = {"report.html.j2": RunPage, "runs.html.j2": RunListPage, "data_docs.html.j2": DataDocsPage}
WORDS = {"words": dict[str, str]}
PARTS = {"head.html.j2", "incident.html.j2", "landed.html.j2"}  # which pages include
TEMPLATE_NAMES = sorted({path.name for path in TEMPLATES.glob("*.html.j2")} - PARTS)


@dataclass(frozen=True)
class Page:
    runs: list[RunDocument]
    newest: RunDocument | None


def mistakes_of(text):
    """What is wrong with a template that is given a Page."""
    return mistakes(Environment(loader=DictLoader({"t": text}), autoescape=True), "t", get_type_hints(Page))


@pytest.mark.parametrize(("template", "page"), PAGES.items())
def test_a_template_reads_only_what_its_page_has(template, page):
    assert not mistakes(environment(), template, {**WORDS, **get_type_hints(page)})


@pytest.mark.parametrize(("template", "page"), PAGES.items())
def test_each_part_of_a_page_is_shown(template, page):
    text = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in (template, *PARTS))
    assert not [name for name in get_type_hints(page) if not re.search(rf"\b{name}\b", text)]


@pytest.mark.parametrize("template", TEMPLATE_NAMES)
def test_every_page_begins_with_the_head_that_forbids_scripts_and_the_network(template):
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">\n<head>\n{% include "head.html.j2" %}\n')
    assert "default-src 'none'" in (TEMPLATES / "head.html.j2").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "{{ newest.verdict.words }}",
        "{% for run in runs %}{{ run.metrics.challenger.accuracy }}{% endfor %}",
        "{% for run in runs %}{% for kind, head in run.heads.items() %}{{ head.words }}{% endfor %}{% endfor %}",
        "{% set start = newest.training.start %}{% if start.transferred %}{{ start.transferred.row }}{% endif %}",
        "{{ newest.verdict.checks[0].words }}",
        "{{ newest.ingest['impressions'] }}",
        "{% for check in newest.verdict.checks if not check.met %}{{ check.name }}{% endfor %}",
        "{{ runs|selectattr('verdict.decisions')|list|length }}",
        "{{ (newest.champion or newest.version)|upper }}",
        "{{ oldest.date }}",
    ],
)
def test_a_name_that_is_gone_is_found_wherever_it_stands(text):
    (mistake,) = mistakes_of(text)
    assert mistake.startswith("t:1: expected what the page's types have, received ")


def test_a_name_that_is_gone_is_found_in_an_included_part_too():
    parts = {"t": '{% set run = newest %}{% include "part" %}', "part": "\n{{ run.verdict.words }}"}
    (mistake,) = mistakes(Environment(loader=DictLoader(parts), autoescape=True), "t", get_type_hints(Page))
    assert mistake.startswith("part:2: ")


def test_names_that_are_there_are_no_mistakes():
    text = "{% for run in runs|reverse %}{{ run.date.strftime('%d') }} {{ run.heads['x'].metrics.items() }}{% endfor %}"
    assert not mistakes_of(text)


def test_no_value_on_a_page_hides_or_reorders_what_stands_beside_it_and_own_markup_stays():
    page = environment().from_string("<b>{{ name }}</b>{{ drawing }}")
    text = page.render(name="<i>gpj.\u202eexe\x1b</i> of https://user:SECRET@host", drawing=Markup("<svg/>"))
    assert text == "<b>&lt;i&gt;gpj.\\u202eexe\\x1b&lt;/i&gt; of https://***@host</b><svg/>"
