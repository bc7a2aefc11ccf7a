"""Stage 3, validate: hygiene and absolute bounds on the day's profile, evaluated by Great Expectations.

A day that fails is rejected: it enters no training window until somebody accepts it by hand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq

from ctr_retrain.models.data.profile import expected_ranges, measure_day
from ctr_retrain.models.documents.day_documents import (
    FailedExpectation,
    Finding,
    FindingsDocument,
    Validation,
    ValidationAnswer,
)
from ctr_retrain.models.documents.ref_documents import AcceptedRef, DatedDayDecision, DayDecision
from ctr_retrain.models.documents.run_documents import DayDocument
from ctr_retrain.models.errors import BusyError, DataRejectedError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ingest.ingest_day import IngestedDay, current_day_object, load_ingested_day
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import FINDINGS_FILE, PROFILE_FILE, VALUES_FILE
from ctr_retrain.tasks.store.protocol import Store, TypedRef, digest_of, load_document, load_ref, replace_ref
from ctr_retrain.tasks.validate.expectations import run_expectations


@dataclass(frozen=True)
class ValidatedDay:
    """A day with its findings, and the decision about it."""

    day: date
    findings: tuple[Finding, ...]
    accepted: bool  # it may enter training
    by: str  # validation, or who accepted it by hand
    reason: str  # of the decision
    path: str  # of the object with the findings

    @property
    def passed(self) -> bool:
        """Return True if every expectation was met, whoever accepted the day."""
        return bool(self.findings) and all(finding.passed for finding in self.findings)

    @property
    def validation(self) -> Validation:
        """Return the decision and the failed expectations, as documents hold them."""
        return Validation(
            passed=self.passed,
            failed=tuple(FailedExpectation.of(finding) for finding in self.findings if not finding.passed),
            evaluated=len(self.findings),
            accepted=self.accepted,
            accepted_by=self.by,
        )


def validate_day(store: Store, recipe: Recipe, day: date, now: datetime) -> ValidatedDay:
    """Evaluate the expectations over an ingested day and record whether it is accepted.

    A decision made by hand about the same data stays. Raises DataRejectedError where the day was not ingested,
    BusyError where another run decided about it or published it anew meanwhile.
    """
    # Before the data is looked at: nobody who saw newer is overruled.
    ref = load_ref(store, layout.accepted_ref(day), AcceptedRef)
    ingested = load_ingested_day(store, day)
    path = _path(recipe, ingested)
    if store.manifest(path) is None:
        with store.writing(path, {"day": day, "inputs": [ingested.path]}) as folder:
            findings = _evaluate(store, recipe, ingested, folder)
            FindingsDocument(findings=findings).write(folder / FINDINGS_FILE)
    findings = _load_findings(store, path)
    failed = [finding.name for finding in findings if not finding.passed]
    if ref is None or ref.content.day_object != ingested.path or ref.content.by == "validation":
        reason = f"failed {', '.join(failed)}" if failed else f"all {len(findings)} expectations met"
        decision = DayDecision(
            accepted=not failed, by="validation", reason=reason, day_object=ingested.path, validation=path
        )
        _decide(store, day, ref, decision, now)
    validated = load_validated_day(store, day)
    if validated is None or not store.stays(path):
        msg = f"validation of {day}: expected its data unchanged, received a newer ingest or a `gc`. Run again."
        raise BusyError(msg)
    return validated


def accept_day(store: Store, day: date, reason: str, who: str, now: datetime) -> ValidatedDay:
    """Accept a day by hand; raises DataRejectedError where its current data was never validated."""
    ref = load_ref(store, layout.accepted_ref(day), AcceptedRef)
    if ref is None or load_validated_day(store, day) is None:
        msg = f"accept {day}: expected its data to be validated, received none that is. Run `validate --date {day}`."
        raise DataRejectedError(msg)
    judged = ref.content
    decision = DayDecision(
        accepted=True, by=who, reason=reason, day_object=judged.day_object, validation=judged.validation
    )
    _decide(store, day, ref, decision, now)
    validated = load_validated_day(store, day)
    assert validated is not None
    return validated


def is_evaluated(store: Store, recipe: Recipe, day: date) -> bool:
    """Return True if these bounds were evaluated over the day's data; raises DataRejectedError where it has none."""
    return store.manifest(_path(recipe, load_ingested_day(store, day))) is not None


def load_validated_day(store: Store, day: date) -> ValidatedDay | None:
    """Load the decision about the day's current data; None where there is none, or the data changed since."""
    ref = load_ref(store, layout.accepted_ref(day), AcceptedRef)
    if ref is None or ref.content.day_object != current_day_object(store, day):
        return None
    decision = ref.content
    findings = _load_findings(store, decision.validation)
    return ValidatedDay(day, findings, decision.accepted, decision.by, decision.reason, decision.validation)


def rejection_error(
    validated: ValidatedDay, landing: LandingZone, document: DayDocument | ValidationAnswer
) -> DataRejectedError:
    """Return the error of a day that may not enter training, for the person on call, with the day's document."""
    failed = [f"{f.name}: expected {f.expected}, received {f.received}" for f in validated.findings if not f.passed]
    if isinstance(document, DayDocument):  # which knows of the files too
        failed += [f"{file}: {reason}" for file, reason in document.ingest.unreadable.items()]
    msg = (
        f"{validated.day} was rejected by validation: {'; '.join(failed)}. Check the loggers and {landing}; "
        f"to take the day as it is, run `ctr-retrain accept --date {validated.day} --reason …`, then run again."
    )
    return DataRejectedError(msg, document=document)


def _path(recipe: Recipe, ingested: IngestedDay) -> str:
    """Return the path of a day's findings, which changes with its data and with the bounds."""
    rules = [asdict(expected) for expected in expected_ranges(recipe)]
    key = digest_of([ingested.identity, rules, recipe.validation.model_dump(mode="json")])
    return layout.validation_object(ingested.day, key)


def _decide(store: Store, day: date, ref: TypedRef[AcceptedRef] | None, decision: DayDecision, now: datetime) -> None:
    """Swap the decision on top of the one that was read; raises BusyError where somebody decided meanwhile."""
    if ref and DayDecision.of(ref.content) == decision:
        return
    earlier = ref.content.history if ref else ()
    dated = DatedDayDecision(**dict(decision), at=now.isoformat())
    content = AcceptedRef(**dict(decision), history=(*earlier, dated))
    replace_ref(store, layout.accepted_ref(day), content, ref)


def _load_findings(store: Store, path: str) -> tuple[Finding, ...]:
    """Read the findings of a validation; none where it is gone."""
    if store.file(path, FINDINGS_FILE) is None:
        return ()
    return load_document(store, path, FINDINGS_FILE, FindingsDocument).findings


def _evaluate(store: Store, recipe: Recipe, ingested: IngestedDay, folder: Path) -> tuple[Finding, ...]:
    """Measure the day, let Great Expectations judge, write its data docs below `folder`.

    Raises DataRejectedError where fewer expectations were evaluated than were asked for: an empty check passes nothing.
    """
    profile_file, values_file = (store.file(ingested.path, name) for name in (PROFILE_FILE, VALUES_FILE))
    assert profile_file is not None
    assert values_file is not None
    counts = (ingested.impressions, ingested.outcomes)
    profile = pq.read_table(profile_file)
    measures = measure_day(profile, ingested.day, recipe, counts, len(ingested.unreadable))
    values = pq.read_table(values_file).to_pandas()
    passed = run_expectations(measures, values, recipe, ingested.day, folder / "data_docs")
    findings = [
        Finding(
            name=r.name,
            expected=r.expected(),
            received=r.received(measures[r.name]),
            passed=passed.get(r.name, False) and measures[r.name] is not None,
        )
        for r in expected_ranges(recipe)
    ]
    for column, allowed in recipe.validation.value_sets.items():
        name = f"values[{column}]"
        received = sorted(set(values[values["name"] == column]["value"]))
        strange = [value for value in received if value not in allowed]
        shown = ", ".join(strange[:5]) or ("only these" if received else "nothing")
        # An empty batch passes in Great Expectations; here no value at all is a failure, as for every other figure.
        met = passed.get(name, False) and bool(received)
        findings.append(Finding(name=name, expected=f"one of {', '.join(allowed)}", received=shown, passed=met))
    if len(passed) != len(findings):
        missing = sorted({finding.name for finding in findings} - passed.keys())
        msg = (
            f"validation of {ingested.day}: expected {len(findings)} results, received {len(passed)}; missing {missing}"
        )
        raise DataRejectedError(msg)
    return tuple(findings)
