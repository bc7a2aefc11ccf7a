"""Stage 3, validate: hygiene and absolute bounds on the day's profile, evaluated by Great Expectations.

A day that fails is rejected: it enters no training window until somebody accepts it by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.data.profile import (
    Range,
    count_hours,
    expected_ranges,
    landed_ranges,
    measure_day,
    measure_landed,
    value_set_name,
)
from ctr_retrain.models.data.value_sets import ColumnValues, compare_values
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
from ctr_retrain.tasks.ingest.quarantine_reasons import quarantine_reasons
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import FINDINGS_FILE, PROFILE_FILE, VALUES_FILE
from ctr_retrain.tasks.store.protocol import (
    Store,
    TypedRef,
    digest_of,
    has_object,
    load_document,
    load_ref,
    replace_ref,
)
from ctr_retrain.tasks.validate.earlier_shares import EarlierShares, read_earlier_shares
from ctr_retrain.tasks.validate.expectations import ExpectationResult, run_expectations
from ctr_retrain.tasks.validate.write_data_docs import DataDocsPage, describe_findings, evaluated_by, write_data_docs

MOST_FILES_NAMED = 5  # in one finding
REASONS_IN_A_SENTENCE = 3


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


def validate_day(
    store: Store, recipe: Recipe, day: date, now: datetime, earlier: EarlierShares | None = None
) -> ValidatedDay:
    """Evaluate the expectations over an ingested day and record whether it is accepted.

    A decision made by hand about the same data stays. earlier: what the day is held against; None: it is read.
    Raises DataRejectedError where the day was not ingested, BusyError where another run decided about it or published
    it anew meanwhile.
    """
    # Before the data is looked at: nobody who saw newer is overruled.
    ref = load_ref(store, layout.accepted_ref(day), AcceptedRef)
    ingested = load_ingested_day(store, day)
    ranges = _ranges(store, recipe, ingested, earlier)
    path = _path(recipe, ingested, ranges)
    if not has_object(store, path):
        with store.writing(path, {"day": day, "inputs": [ingested.path]}) as folder:
            findings = _evaluate(store, recipe, ingested, ranges, folder)
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


def is_evaluated(store: Store, recipe: Recipe, day: date, earlier: EarlierShares) -> bool:
    """Return True if these bounds were evaluated over the day's data; raises DataRejectedError where it has none."""
    ingested = load_ingested_day(store, day)
    return has_object(store, _path(recipe, ingested, _ranges(store, recipe, ingested, earlier)))


def is_settled(store: Store, recipe: Recipe, day: date, earlier: EarlierShares) -> bool:
    """Return True if validation would change nothing: the decision is of these bounds, or a person's who knew them.

    Raises DataRejectedError where the day was not ingested.
    """
    ingested, ref = load_ingested_day(store, day), load_ref(store, layout.accepted_ref(day), AcceptedRef)
    if ref is None or ref.content.day_object != ingested.path:
        return False
    path = _path(recipe, ingested, _ranges(store, recipe, ingested, earlier))
    return (ref.content.by != "validation" or ref.content.validation == path) and has_object(store, path)


def load_decision(store: Store, day: date) -> DayDecision | None:
    """Load the decision about the day's current data alone; None where there is none, or the data changed since."""
    ref = load_ref(store, layout.accepted_ref(day), AcceptedRef)
    return ref.content if ref and ref.content.day_object == current_day_object(store, day) else None


def load_validated_day(store: Store, day: date) -> ValidatedDay | None:
    """Load the decision about the day's current data with its findings, which cost a request more or two."""
    decision = load_decision(store, day)
    if decision is None:
        return None
    findings = _load_findings(store, decision.validation)
    return ValidatedDay(day, findings, decision.accepted, decision.by, decision.reason, decision.validation)


def rejection_error(
    validated: ValidatedDay, landing: LandingZone, document: DayDocument | ValidationAnswer
) -> DataRejectedError:
    """Return the error of a day that may not enter training, for the person on call, with the day's document."""
    failed = [finding.words for finding in validated.findings if not finding.passed]
    if isinstance(document, DayDocument):  # which knows of the files too
        failed += [f"{file}: {reason}" for file, reason in document.ingest.unreadable.items()]
    msg = (
        f"{validated.day} was rejected by validation: {'; '.join(failed)}. Check the loggers and {landing}; "
        f"to take the day as it is, run `ctr-retrain accept --date {validated.day} --reason …`, then run again."
    )
    return DataRejectedError(msg, document=document)


def _ranges(store: Store, recipe: Recipe, ingested: IngestedDay, earlier: EarlierShares | None) -> tuple[Range, ...]:
    """Return all bounds of a day's numbers: the recipe's, and those that follow from the days before."""
    known = earlier or read_earlier_shares(store, recipe, [ingested.day])
    return (*expected_ranges(recipe), *landed_ranges(recipe, ingested.landed, known.before(ingested.day)))


def _path(recipe: Recipe, ingested: IngestedDay, ranges: Sequence[Range]) -> str:
    """Return the path of a day's findings, which changes with its data and with the bounds."""
    rules = [asdict(expected) for expected in ranges]
    key = digest_of([ingested.identity, rules, recipe.validation.model_dump(mode="json")])
    return layout.validation_object(ingested.day, key)


def _decide(store: Store, day: date, ref: TypedRef[AcceptedRef] | None, decision: DayDecision, now: datetime) -> None:
    """Swap the decision on top of the one that was read; raises BusyError where another decision came first."""
    if ref and DayDecision.of(ref.content) == decision:
        return
    earlier = ref.content.history if ref else ()
    dated = DatedDayDecision(**dict(decision), at=now.isoformat())
    content = AcceptedRef(**dict(decision), history=(*earlier, dated))
    try:
        replace_ref(store, layout.accepted_ref(day), content, ref)
    except BusyError:
        newer = load_ref(store, layout.accepted_ref(day), AcceptedRef)
        if newer is None or DayDecision.of(newer.content) != decision:
            raise


def _load_findings(store: Store, path: str) -> tuple[Finding, ...]:
    """Read the findings of a validation; none where it is gone."""
    if store.file(path, FINDINGS_FILE) is None:
        return ()
    return load_document(store, path, FINDINGS_FILE, FindingsDocument).findings


def _evaluate(
    store: Store, recipe: Recipe, ingested: IngestedDay, ranges: Sequence[Range], folder: Path
) -> tuple[Finding, ...]:
    """Measure the day, let Great Expectations judge, write the page about it below `folder`.

    Raises DataRejectedError where fewer expectations were evaluated than were asked for: an empty check passes nothing.
    """
    profile, values = (_read_table(store, ingested, name) for name in (PROFILE_FILE, VALUES_FILE))
    counts, landed = (ingested.impressions, ingested.outcomes), ingested.landed
    files = (len(ingested.unreadable), len(ingested.mostly_quarantined))
    measures = measure_day(profile, ingested.day, recipe, counts, *files) | measure_landed(landed)
    sets = {
        value_set_name(column): compare_values(values, column, allowed)
        for column, allowed in recipe.validation.value_sets.items()
    }
    results = run_expectations(measures, ranges, values, recipe)
    details = {} if all(result.met for result in results.values()) else _details(store, ingested, folder)
    findings = (*_judge_measures(measures, ranges, results, ingested, details), *_judge_values(sets, results, recipe))
    if len(results) != len(findings):
        missing = sorted({finding.name for finding in findings} - results.keys())
        msg = (
            f"validation of {ingested.day}: expected {len(findings)} results, received {len(results)}; "
            f"missing {missing}"
        )
        raise DataRejectedError(msg)
    failed = sum(not finding.passed for finding in findings)
    page = DataDocsPage(
        day=ingested.day,
        recipe_name=recipe.name,
        evaluated_by=evaluated_by(),
        day_object=ingested.path,
        failed=failed,
        expectations=describe_findings(findings, sets),
        landed=landed,
        # Of a good day the run's report has them; a bad one has no run, and so no other page that could show them.
        quarantine=quarantine_reasons(store, ingested.path, folder) if failed else [],
        channels=tuple(recipe.channels),
        hours=count_hours(profile, ingested.day),
    )
    write_data_docs(page, folder)
    return findings


def _read_table(store: Store, ingested: IngestedDay, name: str) -> pa.Table:
    """Read a table of counts of a landed day."""
    file = store.file(ingested.path, name)
    assert file is not None  # each landed day has both
    return pq.read_table(file)


def _judge_measures(
    measures: Mapping[str, float | None],
    ranges: Sequence[Range],
    results: Mapping[str, ExpectationResult],
    ingested: IngestedDay,
    details: Mapping[str, str],
) -> Iterator[Finding]:
    """Put each number of the day beside its range and the result; details: by its name, or by the name's first part."""
    for expected in ranges:
        measure = measures[expected.name]
        received = expected.received(measure) + _files_behind(expected.name, ingested)
        # Great Expectations lets a number pass that isn't there.
        finding = _finding(expected.name, expected.expected(), received, results, there=measure is not None)
        kind = expected.name.partition("[")[0]
        detail = details.get(expected.name, details.get(kind, ""))
        yield finding if finding.passed else finding.model_copy(update={"detail": detail})


def _files_behind(name: str, ingested: IngestedDay) -> str:
    """Name the first files that a number counts, each with what is wrong; nothing where it counts no file."""
    files = ingested.mostly_quarantined if name == "mostly_quarantined_files" else {}
    named = [f"{file} ({wrong})" for file, wrong in list(files.items())[:MOST_FILES_NAMED]]
    return f": {', '.join(named)}{' …' if len(files) > len(named) else ''}" if named else ""


def _details(store: Store, ingested: IngestedDay, folder: Path) -> dict[str, str]:
    """Say of which rows the figures of a day that failed come, by their names or these' first part."""
    reasons = quarantine_reasons(store, ingested.path, folder)
    unattributed = ingested.attribution.words if ingested.attribution else ""
    return {
        "quarantined_share": "; ".join(found.words for found in reasons[:REASONS_IN_A_SENTENCE]),
        "attributed_share": unattributed,
        "positive_ratio": unattributed and f"outcomes: {unattributed}",
        **{
            f"unreadable_share[{name}]": f"such as {values.example!r}"
            for name, values in ingested.unreadable_values.items()
        },
    }


def _judge_values(
    sets: Mapping[str, ColumnValues], results: Mapping[str, ExpectationResult], recipe: Recipe
) -> Iterator[Finding]:
    """Put each column's values beside the set and the result."""
    for column, allowed in recipe.validation.value_sets.items():
        found = sets[value_set_name(column)]
        # An empty batch passes in Great Expectations; here no value at all is a failure, as for every other figure.
        there = found.distinct > 0
        yield _finding(value_set_name(column), f"one of {', '.join(allowed)}", found.received, results, there=there)


def _finding(
    name: str, expected: str, received: str, results: Mapping[str, ExpectationResult], *, there: bool
) -> Finding:
    """Make the finding of an expectation; one that was not evaluated, or about what isn't there, is not met."""
    result = results.get(name, ExpectationResult(met=False))
    if result.error:
        received = f"{received}, which could not be judged: {result.error}"
    return Finding(name=name, expected=expected, received=received, passed=result.met and there)
