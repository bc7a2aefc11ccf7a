"""A landing day: what came in on it, and whether it is good enough to train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from ctr_retrain.models.documents.document import Day, Document, ObjectPath, Part, StoredDocument

MOST_KINDS = 20  # of outcomes that no channel names, kept of a day
KINDS_SHOWN = 5  # of them in a sentence


class Counts(Part):
    """Rows that came in and what became of them: received = kept + duplicates + quarantined."""

    received: int
    """Rows that came in."""
    kept: int
    """Rows that can be used."""
    # Counted on their own: as a remainder the sum would hold by construction and test nothing.
    duplicates: int
    """Rows whose event was there before."""
    quarantined: int
    """Rows that can't be used, kept aside with the reason."""

    def __add__(self, other: Counts) -> Counts:
        """Add up two parts of a day."""
        return Counts(
            received=self.received + other.received,
            kept=self.kept + other.kept,
            duplicates=self.duplicates + other.duplicates,
            quarantined=self.quarantined + other.quarantined,
        )

    @property
    def conserved(self) -> bool:
        """True if no row was lost or made up."""
        return self.received == self.kept + self.duplicates + self.quarantined


class Attribution(Part):
    """Outcomes that were kept of a day, by whether an impression of the same landing day answers for them."""

    outcomes: int
    """Outcomes that were kept."""
    found: int
    """Those of a kind that some channel names, whose impression landed on the same day."""
    not_found: int
    """Those of such a kind, whose impression landed on another day, or under another id, or nowhere."""
    unnamed: int
    """Those of a kind that no channel names."""
    unnamed_kinds: Mapping[str, int] = Field({})
    """The most frequent kinds that no channel names, with the outcomes of each."""

    def __add__(self, other: Attribution) -> Attribution:
        """Add up two parts of a day."""
        kinds = Counter(self.unnamed_kinds) + Counter(other.unnamed_kinds)
        return Attribution(
            outcomes=self.outcomes + other.outcomes,
            found=self.found + other.found,
            not_found=self.not_found + other.not_found,
            unnamed=self.unnamed + other.unnamed,
            unnamed_kinds=dict(kinds.most_common(MOST_KINDS)),
        )

    @property
    def share(self) -> float | None:
        """Return the share of outcomes that found an impression; None without any outcome."""
        return self.found / self.outcomes if self.outcomes else None

    @property
    def words(self) -> str:
        """Say for a person why outcomes found no impression; empty where all did."""
        parts = []
        if self.not_found:
            parts.append(f"{self.not_found:,} of {self.outcomes:,} without an impression that landed on the same day")
        if self.unnamed:
            kinds = ", ".join(f"{kind!r} {rows:,}" for kind, rows in list(self.unnamed_kinds.items())[:KINDS_SHOWN])
            parts.append(f"{self.unnamed:,} of kinds that no channel names ({kinds})")
        return "; ".join(parts)


class UnreadableValues(Part):
    """Values of a column that can't be read, or can't be what it says, and cost no row."""

    rows: int
    """Such values, which count as missing."""
    values: int
    """Values that the column has, these among them."""
    example: str = ""
    """One of them, as it landed."""

    @property
    def share(self) -> float:
        """Return the share of the column's values."""
        return self.rows / self.values

    def __add__(self, other: UnreadableValues) -> UnreadableValues:
        """Add up two parts of a day."""
        return UnreadableValues(
            rows=self.rows + other.rows, values=self.values + other.values, example=self.example or other.example
        )


class ColumnFill(Part):
    """The values of a feature's column on a day."""

    rows: int
    """Impressions that have a value."""
    sampled: int = 0
    """Of a column of texts, the values that were looked at."""
    numbers: int = 0
    """Those of them that are written as numbers."""


class LandedRows(Part):
    """Rows and files that landed on a day."""

    impressions: Counts
    """Impressions that landed."""
    outcomes: Counts
    """Outcomes that landed."""
    unreadable: Mapping[str, str]
    """Files that could not be read, and what is wrong with each."""
    unknown_columns: tuple[str, ...] = ()
    """Columns that landed and that the recipe doesn't name; those of outcomes as outcomes.NAME."""
    not_read: Mapping[str, str] = Field(default_factory=dict)
    """What else lay in the day's folders, and why it was not read: markers of writers, hidden files, devices."""
    mostly_quarantined: Mapping[str, str] = Field(default_factory=dict)
    """Files of which over half of the rows can't be used, and how many that are."""
    unreadable_values: Mapping[str, UnreadableValues] = Field({})
    """Values that count as missing since they can't be read, or can't be what their column says, by our column."""
    without_label: int = 0
    """Impressions whose inline label is empty: they are kept, and neither trained on nor judged by."""
    attribution: Attribution | None = None
    """Outcomes that found an impression; null where labels are inline, and of days that an older version read."""
    notices: tuple[str, ...] = ()
    """Sentences about what landed otherwise than the recipe says."""


class UserSample(Part):
    """The users of a day whose hashes are the least: of two days the same users, as far as both have them."""

    probe: int
    """Hash of a text that is always the same: days whose users were hashed in another way have another one."""
    below: int
    """The bound of the hashes: each of the day's users whose hash is less is here."""
    rows: Mapping[str, int]
    """Impressions of each of these users, by hash."""


class DaySummary(StoredDocument, LandedRows):
    """Rows and files that landed on a day, or in one shard of it: summary.json beside the rows."""

    fill: Mapping[str, ColumnFill] = Field({})
    """The values of each feature's column; none where an older version didn't look."""
    rows_in_files: int | None = None
    """Rows of all files that landed, whichever shard they are in; null where an older version didn't count them."""
    quarantined_files: Mapping[str, tuple[int, int]] = Field(default_factory=dict)
    """Quarantined rows and all rows of each file that has any of the former; in a shard, its own of the former."""
    users: UserSample | None = None
    """A sample of the users; null where the recipe maps none, and where an older version didn't look."""


class LandedDayInputs(Part):
    """The inputs of a landed day, which its manifest holds."""

    day: Day
    """The landing day."""
    landed: Mapping[str, tuple[tuple[str, str], ...]]
    """Name and digest of each landed file, by stream."""
    recipe_digest: str
    """Digest of the recipe."""
    definition: str
    """Digest of all that the day depends on beside its files: of what the recipe says of reading them."""


class LabelInputs(Part):
    """The inputs of a label object, which its manifest holds."""

    event_day: Day
    """The event day."""
    inputs: tuple[ObjectPath, ...]
    """Paths of the landed days that went in."""


class IngestAnswer(Document):
    """The answer of `ingest`: a published landing day."""

    date: Day
    """The landing day."""
    path: str
    """Path of the day under the root."""
    impressions: Counts
    """Impressions that landed."""
    outcomes: Counts
    """Outcomes that landed."""
    unreadable: Mapping[str, str]
    """Files that could not be read, and what is wrong with each."""
    unknown_columns: tuple[str, ...]
    """Columns that landed and that the recipe doesn't name; those of outcomes as outcomes.NAME."""
    not_read: Mapping[str, str] = Field(default_factory=dict)
    """What else lay in the day's folders, and why it was not read: markers of writers, hidden files, devices."""
    mostly_quarantined: Mapping[str, str] = Field(default_factory=dict)
    """Files of which over half of the rows can't be used, and how many that are."""
    unreadable_values: Mapping[str, UnreadableValues] = Field({})
    """Values that count as missing since they can't be read, or can't be what their column says, by our column."""
    without_label: int = 0
    """Impressions whose inline label is empty: they are kept, and neither trained on nor judged by."""
    attribution: Attribution | None = None
    """Outcomes that found an impression; null where labels are inline."""
    notices: tuple[str, ...] = ()
    """Sentences about what landed otherwise than the recipe says."""
    known_afterwards: Mapping[str, str] = Field({})
    """Features that may be known only after the decision, by the day's own outcomes or by what their names say, and
    what to do about each."""


class FailedExpectation(Part):
    """An expectation about a day that was not met."""

    name: str
    """Name of the expectation."""
    expected: str
    """The expectation, in words."""
    received: str
    """The day's own figure, in words."""
    detail: str = Field("", exclude_if=lambda detail: not detail)
    """The rows that the figure comes of, where that is known."""

    @property
    def words(self) -> str:
        """Say what was expected and received, and of which rows it comes."""
        return f"{self.name}: expected {self.expected}, received {self.received}" + (
            self.detail and f" ({self.detail})"
        )


class Finding(FailedExpectation):
    """One expectation about a day and what was found."""

    passed: bool
    """True if it was met."""


class FindingsDocument(StoredDocument):
    """The expectations that were evaluated over a day: findings.json beside the page about them.

    Format 1 was the bare list of findings.
    """

    FORMAT: ClassVar[int] = 2

    format: int = 2
    """Version of the document's format."""
    findings: tuple[Finding, ...]
    """One finding for each expectation."""

    @classmethod
    def from_before(cls, content: object) -> object:
        """Name the list that was all of the document."""
        return {"format": cls.FORMAT, "findings": content} if isinstance(content, list) else content


class Validation(Part):
    """The decision on whether a day may enter training, and the expectations that it failed."""

    passed: bool
    """True if every expectation was met, whoever accepted the day."""
    failed: tuple[FailedExpectation, ...]
    """Expectations that were not met."""
    evaluated: int
    """Number of expectations that were evaluated."""
    accepted: bool
    """True if the day may enter training."""
    accepted_by: str
    """The deciding party: validation, or the user who accepted the day by hand."""


class ValidationAnswer(Document, Validation):
    """The answer of `validate` and `accept`: a validated day. Where it is rejected, the error stands beside it."""

    date: Day
    """The landing day."""
    data_docs: str | None = Field(None, exclude_if=lambda address: address is None)
    """Address of the page about the day and its expectations; of `validate` alone."""
    reason: str | None = Field(None, exclude_if=lambda reason: reason is None)
    """The reason to accept the day; of `accept` alone."""


class RejectedDay(Part):
    """A landing day that was rejected and that nobody accepted."""

    date: Day
    """The landing day."""
    reason: str
    """The reason."""
