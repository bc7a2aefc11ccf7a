"""The summary.json of a label object: what was counted of its rows, and which landed files they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ctr_retrain.models.documents.document import FilePath, ObjectPath, Part, StoredDocument


class LabelPart(Part):
    """The labels of one landed file: a file of labels that has a row for each of its rows, in the same order."""

    labels: FilePath
    """The file of labels in the label object."""
    object: ObjectPath
    """The object that holds the landed file: a landed day, or one of its shards."""
    impressions: FilePath
    """The landed file's path below that object."""
    days_late: int
    """Days from the event day to the landing day."""
    landed_rows: int
    """Rows of the landed file, and so of the file of labels."""
    rows: int
    """How many of these are the label object's; the others count elsewhere."""


class LabelSummary(StoredDocument):
    """Figures of a label object's rows, for readers that don't need the rows themselves: summary.json beside them."""

    rows: int
    """Impressions that have labels."""
    positives: int
    """Positives among them, by the channel's positive kind."""
    kinds: Mapping[str, int]
    """Positives of each kind; empty where labels are inline."""
    parts: tuple[LabelPart, ...] = ()
    """Parts in the order of the rows; none where these lie in shards."""


def add_up_summaries(summaries: Iterable[LabelSummary]) -> LabelSummary:
    """Return the summary of a label object whose rows lie in shards, from those of the shards."""
    found = list(summaries)
    kinds = sum((Counter(summary.kinds) for summary in found), Counter())
    names = dict.fromkeys(kind for summary in found for kind in summary.kinds)  # also those without a positive
    return LabelSummary(
        rows=sum(summary.rows for summary in found),
        positives=sum(summary.positives for summary in found),
        kinds={kind: kinds[kind] for kind in names},
    )
