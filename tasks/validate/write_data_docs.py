"""The page of a validation, for the person on call: the verdict, what failed and by how much, and what landed.

Great Expectations judges; its own pages take a second a day, fetch from other servers and don't escape values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import TYPE_CHECKING

from ctr_retrain.models.data.profile import HourCounts, title_of
from ctr_retrain.models.data.value_sets import ColumnValues
from ctr_retrain.models.documents.day_documents import Finding, LandedRows
from ctr_retrain.tasks.ingest.quarantine_reasons import QuarantinedRows
from ctr_retrain.tasks.pages.render_page import render_page
from ctr_retrain.tasks.store.layout import DATA_DOCS

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ShownExpectation:
    """An expectation and what the day has."""

    finding: Finding
    title: str  # what it is about, in words
    values: ColumnValues | None  # of a value set alone

    @classmethod
    def of(cls, finding: Finding, values: Mapping[str, ColumnValues]) -> ShownExpectation:
        """Put a finding beside its words and its values, which are given by the finding's name."""
        return cls(finding, title_of(finding.name), values.get(finding.name))


@dataclass(frozen=True)
class DataDocsPage:
    """All that data_docs.html.j2 shows, under the names by which it reads it."""

    day: date
    recipe_name: str
    evaluated_by: str  # Great Expectations' version
    day_object: str  # path of the landed day
    failed: int  # expectations that are not met
    expectations: list[ShownExpectation]  # those that are not met first
    landed: LandedRows
    quarantine: list[QuarantinedRows]  # empty where the day is accepted: its report shows them
    channels: tuple[str, ...]
    hours: list[HourCounts]  # of the day itself, late impressions of other days left out


def describe_findings(findings: Sequence[Finding], values: Mapping[str, ColumnValues]) -> list[ShownExpectation]:
    """Order findings for a person: those that are not met first. values: of value sets, by the finding's name."""
    return [ShownExpectation.of(finding, values) for finding in sorted(findings, key=lambda found: found.passed)]


def evaluated_by() -> str:
    """Return the name and version of what evaluates the expectations."""
    return f"Great Expectations {version('great-expectations')}"


def write_data_docs(page: DataDocsPage, folder: Path) -> None:
    """Write the page below the folder of a validation."""
    file = folder / DATA_DOCS
    file.parent.mkdir()
    file.write_text(render_page("data_docs.html.j2", **vars(page)), encoding="utf-8")
