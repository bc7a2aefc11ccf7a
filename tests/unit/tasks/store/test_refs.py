"""Rules of what refs hold: those of older versions are read, and what can't be read is refused in a sentence."""

import os

import jsonschema
import pytest

from ctr_retrain.models.documents.ref_documents import AcceptedRef
from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.protocol import load_day_refs, load_ref, replace_ref
from ctr_retrain.tasks.store.staging import locked
from tests.docs.schemas import REFS, schema_of
from tests.support.command_line import run
from tests.support.older_refs import BEFORE, TENURE


def without_new_keys(value, before):
    """A value without the keys that there weren't yet, all of which are null or false but for the format."""
    if isinstance(value, dict) and isinstance(before, dict):
        kept = {key: one for key, one in value.items() if key in before or key == "format" or one not in (None, False)}
        return {key: without_new_keys(one, before.get(key)) for key, one in kept.items()}
    if isinstance(value, list) and isinstance(before, list):
        return [without_new_keys(*pair) for pair in zip(value, before, strict=True)]
    return value


@pytest.mark.parametrize("name", REFS)
def test_a_ref_of_before_there_were_formats_is_read_and_keeps_every_key_and_value(store, name):
    store.swap_ref("it", BEFORE[name], None)
    ref = load_ref(store, "it", REFS[name])
    replace_ref(store, "it", ref.content, ref)
    assert without_new_keys(store.read_ref("it").value, BEFORE[name]) == {**BEFORE[name], "format": 1}
    jsonschema.Draft202012Validator(schema_of(REFS[name])).validate(store.read_ref("it").value)


def test_no_ref_is_none(store):
    assert load_ref(store, "accepted/2026-03-01", AcceptedRef) is None
    assert list(load_day_refs(store, "accepted", AcceptedRef)) == []


@pytest.mark.parametrize("name", REFS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "expected a document of format 1 with the key '.+', received none"),
        ({"current": 7, "alerts": 7, "accepted": []}, "expected a document of format 1 with the key"),
        ({"format": 0}, "expected format 1, received format 0"),
        ({"format": 2}, "expected format 1, received format 2. Upgrade ctr-retrain to the version that wrote it"),
    ],
    ids=["empty", "other types", "older", "newer"],
)
def test_a_ref_of_another_shape_or_format_is_refused_by_its_name_with_what_to_do(store, name, content, message):
    store.swap_ref("days/2026-03-01", content, None)
    with pytest.raises(StorageError, match=message) as refused:
        load_ref(store, "days/2026-03-01", REFS[name])
    assert str(refused.value).startswith(f"refs/days/2026-03-01.json under {store.root}: ")
    assert "Upgrade" in str(refused.value) or REFS[name].REMEDY in str(refused.value)


def test_each_kind_of_ref_says_what_to_do_where_it_is_damaged():
    assert len({kind.REMEDY for kind in REFS.values()}) == len(REFS)


def test_a_key_of_a_later_version_is_no_reason_to_refuse(store):
    later = {**BEFORE["refs-champion"], "history": [{**TENURE, "later": 1}], "later": 1}
    store.swap_ref("champion", later, None)
    assert read_champions(store).current.version == TENURE["version"]


@pytest.mark.parametrize("command", ["status", "models", "explain 2026-03-07", "rollback --reason why"])
def test_a_damaged_ref_ends_a_command_as_a_damaged_store_does(store, command):
    for name in ("champion", "accepted/2026-03-01", "runs/2026-03-07"):
        store.swap_ref(name, {"current": None}, None)
    answer = run(*command.split(), "--root", store.root, "--json")
    error = answer.document["error"]
    assert (answer.status, error["type"], error["exit_code"]) == (4, "StorageError", 4)
    assert error["message"].startswith("refs/")
    assert "Traceback" not in answer.stderr


def test_a_lock_that_a_stopped_process_holds_is_not_waited_for_without_end(tmp_path):
    words = rf"{tmp_path}/it.lock: expected whoever writes there to be done.* process {os.getpid()} was stopped"
    with locked(tmp_path / "it.lock"), pytest.raises(StorageError, match=words):
        locked(tmp_path / "it.lock", within=0.05).__enter__()


def test_a_damaged_ref_is_left_as_it_is(store):
    store.swap_ref("champion", {"current": "a"}, None)
    run("rollback", "--reason", "why", "--root", store.root)
    assert store.read_ref("champion").value == {"current": "a"}
