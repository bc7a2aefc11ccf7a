"""The summary.json of a label object: what was counted of its rows, and which landed files they belong to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ctr_retrain.tasks.store.layout import SUMMARY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class LabelPart:
    """The labels of one landed file: a file of labels that has a row for each of its rows, in the same order."""

    labels: str  # the file of labels in the label object
    object: str  # the object that holds the landed file: a landed day, or one of its shards
    impressions: str  # the landed file's path below that object
    days_late: int  # from the event day to the landing day
    landed_rows: int  # of the landed file, and so of the file of labels
    rows: int  # how many of these are the label object's; the others count elsewhere


@dataclass(frozen=True)
class LabelSummary:
    """Figures of a label object's rows, for readers that don't need the rows themselves."""

    rows: int  # impressions that have labels
    positives: int  # by the channel's positive kind
    kinds: dict[str, int]  # positives of each kind; empty where labels are inline
    parts: tuple[LabelPart, ...] = ()  # in the order of the rows; none where these lie in shards


def write_summary(folder: Path, summary: LabelSummary) -> None:
    """Write summary.json into the folder of a label object."""
    (folder / SUMMARY_FILE).write_text(json.dumps(asdict(summary), indent=1), encoding="utf-8")


def read_summary(file: Path) -> LabelSummary:
    """Read the summary.json of a label object."""
    content = json.loads(file.read_text(encoding="utf-8"))
    return LabelSummary(**content | {"parts": tuple(LabelPart(**part) for part in content["parts"])})


def add_up_summaries(summaries: Iterable[LabelSummary]) -> LabelSummary:
    """Return the summary of a label object whose rows lie in shards, from those of the shards."""
    found = list(summaries)
    kinds = sum((Counter(summary.kinds) for summary in found), Counter())
    names = dict.fromkeys(kind for summary in found for kind in summary.kinds)  # also those without a positive
    return LabelSummary(
        sum(summary.rows for summary in found),
        sum(summary.positives for summary in found),
        {kind: kinds[kind] for kind in names},
    )
