"""The ledger as it is stored: what each night asked and adds, and the shares of the year's error that changes have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from ctr_retrain.models.documents.document import Day, ObjectName, Part, StoredDocument
from ctr_retrain.models.documents.verdict_documents import Question

PastFigureName = Literal["challenger", "log_loss_delta", "cost_delta_per_1000", "champion_over_predecessor"]


class PastFigure(Part):
    """One figure of a night with the standard error that its rows give it."""

    estimate: float
    """The figure; of the calibration ratio its logarithm."""
    standard_error: float
    """Its standard error."""


class ChangedRows(Part):
    """Rows of one day and one channel that one model sends and another doesn't."""

    day: Day
    """The day."""
    rows: int
    """The rows."""
    positives: int
    """Positives among them."""
    if_positive: float
    """What the first model costs more on one that is positive; currency units."""
    if_negative: float
    """The same on one that isn't."""
    apart: float = Field(0.0, exclude_if=lambda apart: not apart)
    """What the rows' own prices, where these differ, make it differ from what so many positives cost on the whole."""


class LedgerNight(Part):
    """One night's part of the evidence; its cells are in the object ledger/RUN."""

    day: Day
    """The day that the run was for."""
    run_id: ObjectName
    """The run."""
    question: Question
    """What the challenger had to show."""
    challenger: str
    """Digest of what trained the challenger."""
    champion: str | None
    """Digest of what trained the champion; null where there was none."""
    champion_version: ObjectName | None
    """The champion."""
    earlier: Mapping[str, ObjectName]
    """Earlier champions that were scored too, by role."""
    prices: str
    """Digest of the channels' costs: evidence in other prices says nothing."""
    validation: tuple[Day, ...]
    """Days on which the models were judged."""
    figures: Mapping[PastFigureName, PastFigure]
    """Figures by which nights are told apart from each other, and by how much the champion costs more than its
    predecessor: over all nights until then, as far as they asked of a refresh."""
    changed: Mapping[str, tuple[ChangedRows, ...]]
    """Rows that two models decide differently, by the name of the difference in the cells."""


class LedgerNightDocument(StoredDocument, LedgerNight):
    """One night's part of the evidence, as its run made it: ledger_night.json in the run."""


class LedgerChange(Part):
    """A change of the recipe: its share of the year's error is its own however long it waits."""

    challenger: str
    """Digest of what trains the challengers."""
    champion: str
    """Digest of what trained the champion that they have to beat."""
    opened: Day
    """The day of the first run that was judged."""
    share: float
    """Share of the year's error."""
    number: int
    """Which change within a year it is."""


class LedgerRef(StoredDocument):
    """The gate's evidence of a year of nights."""

    REMEDY: ClassVar[str] = "Restore the file from a backup, or remove it: the evidence of earlier nights is lost then"

    nights: tuple[LedgerNight, ...]
    """The nights, in the order of their days."""
    changes: tuple[LedgerChange, ...]
    """Changes of the recipe, in the order in which they were first judged."""
