"""The description beside a served model: its inputs, and what it takes to train it on; and answers on models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ctr_retrain.models.documents.day_documents import UnreadableValues
from ctr_retrain.models.documents.document import Day, Document, Part, StoredDocument
from ctr_retrain.models.documents.run_documents import RunInputs
from ctr_retrain.models.documents.training_documents import CalibrationCurve
from ctr_retrain.models.documents.verdict_documents import Decision, LevelShift

ModelState = Literal["champion", "barred", "served before", "never served"]


class KeptOutRows(Part):
    """Rows that no run which led to a model has trained on, so that a warm start can calibrate on them."""

    since: Day
    """From this day on the rows kept out for calibration are the same in each run."""
    duckdb: str
    """Version of DuckDB, whose hash chooses these rows."""


class BundleDocument(StoredDocument, RunInputs):
    """A model that can be served: bundle.json beside it."""

    recipe: Mapping[str, Any]
    """The recipe, as docs/recipe.md has it; the recipe's own sections check it."""
    numeric_state: Mapping[str, Any]
    """Figures that the kinds of features measured of numbers, such as their means; each kind reads its own."""
    calibration: CalibrationCurve
    """The calibration of the label's probability."""
    head_calibrations: Mapping[str, CalibrationCurve] = Field({})
    """The calibration of each further head, by its kind of outcome."""
    columns: Mapping[str, str] = Field({})
    """Columns that the model reads, and as which type."""
    kept_out: KeptOutRows | None = Field(None, exclude_if=lambda rows: rows is None)
    """The rows kept out of training, where the recipe asks for warm starts."""
    evaluated_data_through: Day | None = Field(None, exclude_if=lambda day: day is None)
    """The newest day that the judged model has seen, where one serves in its place that has seen more."""
    recalibration: tuple[LevelShift, ...] = Field((), exclude_if=lambda shifts: not shifts)
    """By how much each channel's log-odds were moved after the verdict; no key where the model serves as judged."""


class ScoreAnswer(Document):
    """The answer of `score`: what was scored."""

    model: str
    """Version of the model."""
    rows: int
    """Rows that were scored."""
    output: str
    """The file that they were written to."""
    absent_columns: tuple[str, ...]
    """Columns that the model reads and the file lacks; where an outcome fills them, the model learnt from a leak."""
    unreadable: Mapping[str, UnreadableValues] = Field({})
    """Values that the model was told to be missing, since they can't be read as what it reads, by the file's column."""


class ListedModel(Part):
    """A trained model."""

    version: str
    """The version, which is the name of its run."""
    date: Day
    """The day that its run was for."""
    data_through: Day | None
    """The newest day that it has seen."""
    decision: Decision
    """Its verdict."""
    state: ModelState
    """Its standing: in service, barred from it by a rollback, or neither."""
    cost_per_1000: float | None
    """Its cost in currency units per 1,000 impressions on its validation days."""


class ModelsAnswer(Document):
    """The answer of `models`."""

    models: tuple[ListedModel, ...]
    """All models that are kept, newest first."""
