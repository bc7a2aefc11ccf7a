"""Rules of stored documents: old ones are read, and what can't be read is refused in a sentence."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from ctr_retrain.models.documents.command_documents import FailedAnswer, Failure
from ctr_retrain.models.documents.day_documents import DaySummary, FindingsDocument
from ctr_retrain.models.documents.document import Part, parse_document
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.errors import StorageError
from tests.docs.schemas import ANSWERS, FILES, REFS, schema_of
from tests.support.repository import REPOSITORY

BEFORE = Path(__file__).parent / "before"  # documents of a root of before they had versions, with long lists cut
KEPT = ["bundle.json", "drift.json", "evaluation.json", "maturity.json", "run.json", "training.json", "verdict.json"]
KEPT += ["summary.json", "weights.json"]


def as_far_as(stored, found):
    """What was found, without keys that the stored document lacks: those of later versions, which have defaults."""
    if isinstance(stored, dict) and isinstance(found, dict):
        return {key: as_far_as(stored[key], value) for key, value in found.items() if key in stored}
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        return [as_far_as(before, now) for before, now in zip(stored, found, strict=True)]
    return found


@pytest.mark.parametrize("name", KEPT)
def test_a_document_of_before_there_were_versions_is_read_and_keeps_every_key_and_value(name):
    stored = json.loads((BEFORE / name).read_text(encoding="utf-8"))
    document = FILES[name].read(BEFORE / name)
    assert document.format == 1
    assert as_far_as(stored, document.to_json()) == stored


def test_findings_of_before_were_a_bare_list_and_are_written_with_their_version(tmp_path):
    stored = json.loads((BEFORE / "findings.json").read_text(encoding="utf-8"))
    FindingsDocument.read(BEFORE / "findings.json").write(tmp_path / "findings.json")
    written = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    assert written == {"format": 2, "findings": stored}
    assert FindingsDocument.read(tmp_path / "findings.json").to_json() == written


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (FindingsDocument, {"format": 3, "findings": []}, "expected format 2, received format 3. Upgrade"),
        (FindingsDocument, {"findings": []}, "expected format 2, received format 1. "),
        (FindingsDocument, [{"name": "rows"}], "with the key 'findings.0.expected', received none"),
        (DaySummary, {"format": 2}, "expected format 1, received format 2. Upgrade"),
        (DaySummary, {"outcomes": {}}, "with the key 'impressions', received none"),
    ],
)
def test_a_days_documents_of_another_version_are_refused_in_a_sentence(kind, content, message):
    with pytest.raises(StorageError) as refused:
        parse_document(kind, json.dumps(content).encode(), "days/d/k/file.json")
    assert message in str(refused.value)


@pytest.mark.parametrize("name", [*KEPT, "findings.json"])
def test_what_is_written_is_what_the_published_schema_says(name, tmp_path):
    FILES[name].read(BEFORE / name).write(tmp_path / name)
    written = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    # Not `jsonschema.validate`, which takes 0.1 s to check a schema that pydantic made.
    jsonschema.Draft202012Validator(schema_of(FILES[name])).validate(written)


@pytest.mark.parametrize("name", [*ANSWERS, *FILES, *REFS])
def test_a_schema_explains_every_key(name):
    schema = schema_of({**ANSWERS, **FILES, **REFS}[name])
    for part in [schema, *schema.get("$defs", {}).values()]:
        assert part["description"]
        assert all(field.get("description") for field in part.get("properties", {}).values()), part["title"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "expected format 1, received format 2. Upgrade ctr-retrain"),
        ({"format": 0}, "expected format 1, received format 0. Restore the file from a backup, or run again"),
        ({"format": "new"}, "expected format 1, received format 'new'"),
        ({"verdict": {"decision": "promote"}}, "with the key 'verdict.bootstrap', received none"),
        ({"serves": None}, "with the key 'serves', received None"),
    ],
)
def test_a_document_of_another_format_or_one_that_lacks_a_key_is_refused_in_a_sentence(change, message):
    stored = json.loads((BEFORE / "run.json").read_text(encoding="utf-8"))
    with pytest.raises(StorageError) as refused:
        parse_document(RunDocument, json.dumps({**stored, **change}).encode(), "runs/r/run.json")
    assert str(refused.value).startswith("runs/r/run.json: ")
    assert message in str(refused.value)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"date": "2026-03-', b"\xff"])
def test_a_torn_document_is_refused_in_a_sentence(text):
    with pytest.raises(StorageError, match="expected a JSON object, received"):
        parse_document(RunDocument, text, "run.json")


def test_a_key_that_this_version_does_not_know_is_no_reason_to_refuse():
    stored = json.loads((BEFORE / "run.json").read_text(encoding="utf-8"))
    assert parse_document(RunDocument, json.dumps({**stored, "later": 1}).encode(), "run.json").date.year == 2026


def kinds_of(part):
    """Every kind of part and document that is declared."""
    return {part, *(kind for below in part.__subclasses__() for kind in kinds_of(below))}


CLOSED = kinds_of(Part) - {Failure, FailedAnswer}  # an error tells more, each kind of it something else


@pytest.mark.parametrize("kind", sorted(CLOSED, key=lambda kind: kind.__name__))
def test_nothing_is_built_from_a_key_that_it_does_not_declare(kind):
    with pytest.raises(ValidationError) as refused:
        kind(undeclared=1)
    assert ("undeclared",) in [error["loc"] for error in refused.value.errors() if error["type"] == "extra_forbidden"]


def test_the_type_checker_refuses_an_undeclared_key_and_a_value_of_another_type_too():
    checks = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert checks["mypy"]["plugins"] == ["pydantic.mypy"]
    assert checks["pydantic-mypy"] == {"init_forbid_extra": True, "init_typed": True}


def test_a_sentence_is_a_message_in_python_and_words_in_json_and_a_whole_number_stays_one():
    check = Check(name="rows", value=7, bound=5, passed=True, message="Rows: 7.")
    assert check.to_json() == {"name": "rows", "value": 7, "bound": 5, "passed": True, "words": "Rows: 7."}
    assert type(check.to_json()["value"]) is int
