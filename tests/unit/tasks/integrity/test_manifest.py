"""Rules of what is stored: each field is typed, checked for its form and bounded before anything is done by it."""

import copy
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.manifest import (
    EncodedDay,
    KeptRun,
    LandedDay,
    MadeOfDays,
    PublishedModel,
    Sharded,
    files_of,
    parse_manifest,
    typed_manifest,
)
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.store.cache import Blob
from ctr_retrain.tasks.store.protocol import load_manifest, load_ref
from tests.docs.schemas import REFS
from tests.support.command_line import run
from tests.support.counts import draws
from tests.support.older_refs import BEFORE, TENURE
from tests.support.stored import put

DIGEST = "0" * 64
WHOLE = {"code_version": "0.1.0", "writer": "w", "files": [{"path": "a/rows", "bytes": 3, "sha256": DIGEST}]}
NO_DIGESTS = ["../../../../.bashrc", "/etc/hostname", "", "A" * 64, f"{DIGEST}\n", DIGEST[1:], f"{DIGEST}0", None, 0]
LEADS_ELSEWHERE = ["", "/x", "../x", "a/../x", "a//x", "a/."]
NO_NAMES = ["a\0", "\x1b[0m", "a\\b", "x" * 256, "/".join("x" * 2100), "\ud800", 7, None, ["a"]]
SAID = {  # by kind, what such objects say beside their files
    Sharded: {"pieces": ["pieces/days/2026-03-01/ab/0000-of-0002"]},
    MadeOfDays: {"inputs": ["days/2026-03-01/ab"]},
    EncodedDay: {"inputs": ["days/2026-03-01/ab"], "rows": 7, "encoding": "ab"},
    LandedDay: {"definition": "ab"},
    KeptRun: {"champion": "2026-03-06-ab", "labels": ["labels/2026-03-01/ab"]},
    PublishedModel: {"data_through": "2026-03-04", "recipe_digest": "ab"},
}


def parsed(content):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return parse_manifest(text, "days/d/1", "ROOT")


def with_file(**changes):
    return {**WHOLE, "files": [{**WHOLE["files"][0], **changes}]}


def test_manifest_of_the_right_form_is_read_as_it_is():
    assert parsed(WHOLE) == WHOLE
    (entry,) = files_of(WHOLE)
    assert (entry.path, entry.size, entry.sha256) == ("a/rows", 3, DIGEST)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        *((with_file(sha256=value), "files.0.sha256") for value in NO_DIGESTS),
        *((with_file(bytes=size), "files.0.bytes") for size in (10**15, 10**40, -1, "3", 3.0, True, None)),
        *((with_file(path=value), "files.0.path") for value in LEADS_ELSEWHERE + NO_NAMES),
        *(({**WHOLE, "writer": writer}, "writer") for writer in ("../../x", "/", 7, "x" * 65)),
        *(({**WHOLE, "files": files}, "files") for files in (None, 7, {"path": "x"}, "rows")),
        *(({**WHOLE, "files": [entry]}, "files.0") for entry in (None, 7, [], "rows")),
        *(({**WHOLE, "files": [{"path": "a"}]}, "files.0.bytes"), ({"code_version": "0.1.0"}, "files")),
    ],
)
def test_field_of_another_type_form_or_size_is_refused_by_its_name(content, key):
    with pytest.raises(StorageError, match=f"^manifest of days/d/1 in ROOT .*with the key '{key}") as refused:
        parsed(content)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b/c", "a"), ("manifest.json",)])
def test_files_that_can_not_lie_side_by_side_are_refused(paths):
    with pytest.raises(StorageError, match="manifest of days/d/1"):
        parsed({"files": [{"path": path, "bytes": 0, "sha256": DIGEST} for path in paths]})


@pytest.mark.parametrize("text", [b"", b"{half", b"[]", b"7", b"\xff\xfe", b"[" * 200_000, b'{"files": NaN}', b"null"])
def test_what_is_no_manifest_at_all_is_refused(text):
    with pytest.raises(StorageError, match="manifest of days/d/1"):
        parsed(text)


def test_document_without_end_is_read_no_further_than_to_be_refused(store, monkeypatch):
    for module in ("models.documents.document", "tasks.store.local_store"):
        monkeypatch.setattr(f"ctr_retrain.{module}.MAX_DOCUMENT_BYTES", 1000)  # of 64 MiB, which take a second to write
    put(store, "days/d/1/manifest.json", json.dumps(WHOLE).encode() + b" " * 1000)
    put(store, "refs/champion.json", b"{" + b" " * 1000 + b"}")
    for read in (lambda: store.manifest("days/d/1"), lambda: store.read_ref("champion")):
        with pytest.raises(StorageError, match="expected JSON, received"):
            read()


@pytest.mark.parametrize("kind", SAID, ids=lambda kind: kind.__name__)
def test_what_a_kind_of_object_says_beside_its_files_is_typed_too(store, kind):
    put(store, "days/d/1/manifest.json", json.dumps({**WHOLE, **SAID[kind]}).encode())
    found = load_manifest(store, "days/d/1", kind)
    assert {name: found.to_json()[name] for name in SAID[kind]} == SAID[kind]
    assert load_manifest(store, "days/d/2", kind) is None


@pytest.mark.parametrize("path", ["../../x", "/etc", "", "a/../b", "a//b", "a b", "a\nb", "a/", ".git", 7, None])
def test_path_of_another_object_that_leads_elsewhere_is_refused_with_the_manifest_s_name(path):
    for kind, key in ((MadeOfDays, "inputs"), (Sharded, "pieces"), (KeptRun, "labels")):
        with pytest.raises(StorageError, match=f"^manifest of days/d/1 in ROOT .*the key '{key}.0', received"):
            typed_manifest({"champion": None, key: [path]}, kind, "days/d/1", "ROOT")


def test_a_digest_that_is_none_names_no_file_of_the_cache():
    with pytest.raises(StorageError, match="expected a SHA-256"):
        Blob("rows", "../../../../.bashrc", lambda _: None)


# --- any change of any value, at any depth

scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=20)
telling = st.sampled_from(["../../x", "/etc/hostname", "2026-03-01", "a/b", "\ud800", DIGEST])
single = scalars | telling
json_values = single | st.lists(single, max_size=3) | st.dictionaries(st.text(max_size=5), single, max_size=3)


def places(value, place=()):
    """The path of each value in a document, the document itself left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (*place, key)
        yield from places(below, (*place, key))


def refusal_of(read):
    """The message of a refusal; empty where it was read. Any other error is the test's failure."""
    try:
        read()
    except StorageError as error:
        return str(error)
    return ""


def changed(document, place, value):
    found = copy.deepcopy(document)
    holder = found
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return found


@given(data=st.data())
@settings(max_examples=draws(30, 5000))
def test_manifest_changed_anywhere_is_read_or_refused_and_nothing_else(data):
    kind = data.draw(st.sampled_from(list(SAID)))
    document = {**WHOLE, **SAID[kind]}
    content = changed(document, data.draw(st.sampled_from(list(places(document)))), data.draw(json_values))
    refused = refusal_of(lambda: typed_manifest(parsed(content), kind, "days/d/1", "ROOT"))
    assert not refused or refused.startswith("manifest of days/d/1 in ROOT ")


@given(data=st.data())
@settings(max_examples=draws(30, 5000))
def test_ref_changed_anywhere_is_read_or_refused_and_nothing_else(data):
    name = data.draw(st.sampled_from(sorted(REFS)))
    content = changed(BEFORE[name], data.draw(st.sampled_from(list(places(BEFORE[name])))), data.draw(json_values))
    store = _OneRef(content)
    refused = refusal_of(lambda: load_ref(store, "days/2026-03-01", REFS[name]))
    assert not refused or refused.startswith("refs/days/2026-03-01.json under ROOT: ")


class _OneRef:
    """A store with one ref."""

    root = "ROOT"

    def __init__(self, value):
        self.value, self.version = value, "1"

    def read_ref(self, _):
        return self


# --- as commands meet it


@pytest.mark.parametrize("stray", ["days/notes", "days/2026-03-01 (copy)", "runs/20260301", "accepted/2026-02-30"])
def test_file_put_beside_the_refs_is_named_and_ends_a_command_as_a_damaged_store_does(store, tiny_recipe, stray):
    put(store, f"refs/{stray}.json", b'{"current": "a", "history": []}')
    named = f"refs/{stray}.json under {store.root}: expected only files named after days"
    answer = run("status", "--root", store.root, "--json")
    error = answer.document["error"]
    assert (answer.status, error["type"]) == (4, "StorageError")
    assert error["message"].startswith(named)
    with pytest.raises(StorageError, match=f"^{re.escape(named)}"):
        collect_garbage(store, tiny_recipe())


@pytest.mark.parametrize(
    ("ref", "content"),
    [
        ("champion", {**BEFORE["refs-champion"], "current": "../../x"}),
        ("champion", {**BEFORE["refs-champion"], "history": [{**TENURE, "version": "/"}]}),
        ("runs/2026-03-07", {"current": "../../../etc", "history": []}),
        ("accepted/2026-03-01", {**BEFORE["refs-accepted"], "validation": "../../x"}),
    ],
)
def test_ref_that_names_a_path_out_of_the_root_is_named_and_nothing_is_looked_for(store, ref, content):
    store.swap_ref(ref, content, None)
    answer = run("status", "--root", store.root, "--json")
    assert (answer.status, answer.document["error"]["type"]) == (4, "StorageError")
    assert answer.document["error"]["message"].startswith(f"refs/{ref}.json under {store.root}: ")
