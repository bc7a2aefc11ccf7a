"""Rules of validation: a day that fails one expectation trains nothing until somebody accepts it, and says who."""

import json
from dataclasses import replace

import pytest

from ctr_retrain.models.data.profile import expected_ranges
from ctr_retrain.models.documents.day_documents import ValidationAnswer
from ctr_retrain.models.documents.ref_documents import AcceptedRef, DayDecision
from ctr_retrain.models.errors import BusyError, DataRejectedError, StorageError
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import load_ref
from ctr_retrain.tasks.validate import validate_day as validate_module
from ctr_retrain.tasks.validate.validate_day import (
    ValidatedDay,
    _decide,
    accept_day,
    load_validated_day,
    rejection_error,
    validate_day,
)
from tests.support.good_day import CHANNELS, STRICT, every_hour_but, failed, good_day, with_devices

pytestmark = pytest.mark.usefixtures("great_expectations")


def test_good_day_meets_every_expectation_and_they_were_really_evaluated(store, validated, strict):
    found = validated(strict)
    assert failed(found) == {}
    assert found.accepted
    assert found.by == "validation"
    # Six figures of the day, one null share, a ratio a channel, one value set.
    assert len(found.findings) == 7 + 1 + 2 + 1 == found.validation.evaluated
    assert found.reason == "all 11 expectations met"


def test_findings_that_an_older_version_wrote_are_read_and_those_of_a_newer_one_are_refused(store, validated, strict):
    found = validated(strict)
    file = store.open(found.path) / "findings.json"
    older = json.loads(file.read_text(encoding="utf-8"))["findings"]
    file.write_text(json.dumps(older), encoding="utf-8")
    assert load_validated_day(store, found.day) == found
    file.write_text(json.dumps({"format": 3, "findings": older}), encoding="utf-8")
    with pytest.raises(StorageError, match=r"findings\.json under .*: expected format 2, received format 3"):
        load_validated_day(store, found.day)


SPOILED = {
    "volume": (lambda rows, clicks: (rows[:20] + rows[-3:], clicks), {"rows": "23", "hours_covered": "12"}),
    "an hour without events": (every_hour_but(7), {"hours_covered": "23"}),
    "logger that stopped early": (
        lambda rows, clicks: ([row for row in rows if row["ts"] < "2026-03-02T21:45"], clicks),
        {"hours_covered": "22", "hours_since_last_event": "2.5"},
    ),
    "nulls": (
        with_devices(**dict.fromkeys(["ad-1", "ad-2", "ad-3", "ad-4", "ad-5"], "")),
        {"null_share[device]": "10.4 %"},
    ),
    "value that is not among those allowed": (with_devices(**{"ad-3": "toaster"}), {"values[device]": "toaster"}),
    "quarantined rows": (
        lambda rows, clicks: (rows + [{**row, "event_id": "x", "channel": "mail"} for row in rows[:3]], clicks),
        {"quarantined_share": "4.76 %"},
    ),
    "duplicates": (lambda rows, clicks: (rows + rows[:3], clicks), {"duplicate_share": "4.76 %"}),
    "a channel without positives": (
        lambda rows, clicks: (rows, [row for row in clicks if row["event_id"].startswith("ad")]),
        {"positive_ratio[push]": "0 %"},
    ),
    "a day without positives": (
        lambda rows, clicks: (rows, []),
        {"positive_ratio[ad]": "0 %", "positive_ratio[push]": "0 %"},
    ),
    "a channel with too many positives": (
        lambda rows, clicks: (
            rows,
            [{"event_id": row["event_id"], "ts": row["ts"], "kind": "click"} for row in rows if row["channel"] == "ad"],
        ),
        {"positive_ratio[ad]": "100 %", "positive_ratio[push]": "0 %"},
    ),
    "a channel that is missing": (
        lambda rows, clicks: ([row for row in rows if row["channel"] == "ad"], clicks),
        {"positive_ratio[push]": "nothing"},
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_day_fails_what_it_should_and_nothing_else(validated, strict, case):
    spoil, expected = SPOILED[case]
    found = validated(strict, spoil)
    assert failed(found) == expected
    assert not found.accepted
    assert not found.passed
    assert found.reason == f"failed {', '.join(name for name in failed(found))}"


def test_column_without_any_value_fails_its_value_set_though_an_empty_batch_would_pass(validated, tiny_recipe):
    recipe = tiny_recipe(validation={"value_sets": {"device": ["ios"]}})
    found = validated(recipe, lambda rows, clicks: ([{**row, "device": ""} for row in rows], clicks))
    assert failed(found) == {"values[device]": "nothing"}


def test_unreadable_file_is_counted(store, landing, land_rows, validated, strict, day):
    path = land_rows("impressions", day, [], "half.jsonl.gz")
    path.write_bytes(b"\x1f\x8b")
    assert failed(validated(strict)) == {"unreadable_files": "1"}


def test_file_of_which_over_half_is_quarantined_is_named(landing, land_rows, validated, strict, day):
    path = land_rows("impressions", day, [], "broken.jsonl")
    path.write_text('{"torn\n{"torn\n', encoding="utf-8")
    found = validated(strict)
    assert failed(found)["mostly_quarantined_files"] == "1: impressions/broken.jsonl (2 of 2 rows quarantined)"


def test_late_impressions_of_the_day_before_do_not_count_for_the_days_figures(validated, strict):
    found = validated(
        strict,
        lambda rows, clicks: (
            [{**row, "ts": row["ts"].replace("03-02", "03-01")} if "T07" in row["ts"] else row for row in rows],
            clicks,
        ),
    )
    assert failed(found) == {"hours_covered": "23"}


def test_expectation_that_was_not_evaluated_rejects_the_day(store, land_and_ingest, strict, day, now, monkeypatch):
    land_and_ingest(strict, *good_day(day))
    real = validate_module.run_expectations

    def loses_one(*arguments):
        return {name: passed for name, passed in real(*arguments).items() if name != "hours_covered"}

    monkeypatch.setattr(validate_module, "run_expectations", loses_one)
    with pytest.raises(DataRejectedError, match=r"expected 11 results, received 10; missing \['hours_covered'\]"):
        validate_day(store, strict, day, now)
    assert load_validated_day(store, day) is None


def test_rejected_day_stays_rejected_until_it_is_accepted_by_hand(store, validated, strict, day, now):
    validated(strict, SPOILED["nulls"][0])
    accepted = accept_day(store, day, "the app stopped sending it", "ana", now)
    assert accepted.accepted
    assert not accepted.passed  # what failed is still told
    assert (accepted.by, accepted.reason) == ("ana", "the app stopped sending it")
    history = store.read_ref(f"accepted/{day}").value["history"]
    assert [(entry["accepted"], entry["by"], entry["at"]) for entry in history] == [
        (False, "validation", now.isoformat()),
        (True, "ana", now.isoformat()),
    ]


def test_decision_by_hand_survives_validation_of_the_same_data(store, validated, strict, day, now):
    validated(strict, SPOILED["nulls"][0])
    accept_day(store, day, "known", "ana", now)
    again = validate_day(store, strict, day, now)
    assert (again.accepted, again.by) == (True, "ana")
    assert len(store.read_ref(f"accepted/{day}").value["history"]) == 2


def test_two_who_decide_at_once_never_overwrite_each_other(store, validated, strict, day, now):
    validated(strict)
    read = load_ref(store, layout.accepted_ref(day), AcceptedRef)
    accept_day(store, day, "known", "ana", now)
    late = DayDecision.of(read.content).model_copy(update={"reason": "decided on what was read before ana"})
    with pytest.raises(BusyError, match="another run was faster"):
        _decide(store, day, read, late, now)
    assert load_validated_day(store, day).by == "ana"


def test_decision_by_hand_does_not_survive_new_data(store, validated, land_and_ingest, strict, day, now):
    validated(strict, SPOILED["nulls"][0])
    accept_day(store, day, "known", "ana", now)
    land_and_ingest(strict, *SPOILED["a day without positives"][0](*good_day(day)))
    assert load_validated_day(store, day) is None
    with pytest.raises(DataRejectedError, match=r"expected its data to be validated.*Run `validate"):
        accept_day(store, day, "known", "ana", now)
    again = validate_day(store, strict, day, now)
    assert (again.accepted, again.by) == (False, "validation")


def test_other_bounds_judge_the_same_data_anew(validated, strict, tiny_recipe):
    assert not validated(strict, SPOILED["nulls"][0]).accepted
    assert validated(
        tiny_recipe(validation={**STRICT, "max_null_share": {"device": 0.2}}, channels=CHANNELS), SPOILED["nulls"][0]
    ).accepted


def test_validating_twice_evaluates_once(store, validated, strict, day, now, monkeypatch):
    first = validated(strict)
    monkeypatch.setattr(validate_module, "run_expectations", lambda *arguments: pytest.fail("evaluated again"))
    assert validate_day(store, strict, day, now) == first


def test_day_that_was_never_ingested_or_validated_can_be_neither_validated_nor_accepted(store, strict, day, now):
    with pytest.raises(DataRejectedError, match="was not ingested"):
        validate_day(store, strict, day, now)
    with pytest.raises(DataRejectedError, match="expected its data to be validated"):
        accept_day(store, day, "because", "ana", now)


def test_rejection_says_what_was_expected_and_received_and_what_to_do(store, validated, strict, landing, day):
    rejected = validated(strict, SPOILED["nulls"][0])
    answer = ValidationAnswer(**dict(rejected.validation), date=day)
    error = rejection_error(rejected, LocalLandingZone(landing), answer)
    assert error.exit_code == 3
    assert "null_share[device]: expected at most 10 %, received 10.4 %" in str(error)
    assert f"ctr-retrain accept --date {day} --reason" in str(error)
    assert error.document == answer


def test_findings_that_are_gone_do_not_pass(validated, strict):
    assert not replace(validated(strict), findings=()).passed
    assert ValidatedDay.passed.fget is not None


def test_ranges_are_told_in_words(strict):
    words = {figure.name: figure.expected() for figure in expected_ranges(strict)}
    assert words["rows"] == "at least 24"
    assert words["quarantined_share"] == "at most 4 %"
    assert words["positive_ratio[ad]"] == "10 % to 60 %"


def test_hostile_column_name_is_judged_and_documented(store, validated, tiny_recipe):
    name = "../d'ev\"ice <b>; --"
    recipe = tiny_recipe(
        features=[{"name": "device", "kind": "categorical", "column": name}],
        validation={"value_sets": {name: ["ios", "web"]}, "max_null_share": {name: 0.1}},
    )
    found = validated(recipe, lambda rows, clicks: ([{**row, name: row["device"]} for row in rows], clicks))
    assert failed(found) == {}
    assert len(found.findings) == 7 + 1 + 2 + 1
