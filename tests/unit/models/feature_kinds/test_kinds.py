"""Rules of the registry of feature kinds: no kind lacks a part, and a new one is found wherever kinds are."""

import ast
from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from ctr_retrain.models.data.schema import impression_columns
from ctr_retrain.models.described_model import descriptions
from ctr_retrain.models.feature_kinds.feature import FORMER_KEYS, Feature, IdFeature, NumberFeature, encoding_of
from ctr_retrain.models.feature_kinds.fingerprints import TextColumn
from ctr_retrain.models.feature_kinds.kinds import KINDS, feature_of
from ctr_retrain.models.features.table_layout import field_offsets, raw_columns, slots
from tests.docs.recipe_reference import write_reference
from tests.support.documented import documented_module
from tests.support.example_features import example_of
from tests.support.repository import REPOSITORY, nodes_of, text_of, tree_of

PACKAGE = REPOSITORY / "models" / "feature_kinds"


GO_TOGETHER = (  # whoever writes the first must write the second: the base class only says that there is none
    (IdFeature, "slots", "pool"),
    (IdFeature, "extra_numbers", "numbers_beside"),
    (NumberFeature, "table_rows", "fit_edges"),
    (NumberFeature, "table_rows", "find_row"),
)


def missing_parts(name):
    """A sentence on each part that a registered kind lacks."""
    kind = KINDS[name]
    if kind.model_fields["kind"].default != name:
        yield f"`kind` is {kind.model_fields['kind'].default!r}: make it Literal[{name!r}] with that default"
    for part in ("holds", "meaning", "missing"):
        if not isinstance(getattr(kind, part, None), str):
            yield f"`{part}` is not set: docs/recipe.md shows it"
    yield from missing_words(kind)
    if kind.__abstractmethods__:
        yield f"{sorted(kind.__abstractmethods__)} must be written"
    elif not issubclass(kind, IdFeature | NumberFeature):
        yield "it is neither an IdFeature nor a NumberFeature"
    else:
        yield from missing_methods(kind, example_of(name))


def missing_words(kind):
    """A sentence on each key that says nothing, or that is none."""
    own = kind.model_fields.keys() - Feature.model_fields.keys()
    for key in sorted(own - descriptions(kind).keys()):
        yield f"`{key}` says nothing: write a docstring below it; docs/recipe.md shows it"
    for part in ("network_keys", "free_keys"):
        for key in sorted(getattr(kind, part) - own):
            yield f"`{part}` names {key!r}, which is no key of it"


def missing_methods(kind, feature):
    """A sentence on each method that another one calls for."""
    for base, first, second in GO_TOGETHER:
        if not isinstance(feature, base) or getattr(kind, first) is getattr(base, first):
            continue
        needed = base is IdFeature or getattr(feature, first)  # a number may have no rows
        if needed and getattr(kind, second) is getattr(base, second):
            yield f"`{second}` must be written: `{first}` is {getattr(feature, first)}"


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_has_all_its_parts(name):
    missing = list(missing_parts(name))
    assert not missing, f"feature kind {name!r} ({KINDS[name].__module__}):\n" + "\n".join(missing)


def test_each_kind_in_the_folder_is_registered():
    classes = {
        node.name: path.name
        for path in PACKAGE.glob("*.py")
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef)
        and any(
            isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == "kind" and line.value for line in node.body
        )
    }
    forgotten = {name: file for name, file in classes.items() if name not in {kind.__name__ for kind in KINDS.values()}}
    assert not forgotten, f"{forgotten}: name the class in KINDS of models/feature_kinds/kinds.py"


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"numeric", "hour", "weekday"}))  # these name other things too
def test_nothing_outside_its_file_names_a_kind(name):
    own = KINDS[name].__module__.removeprefix("ctr_retrain.").replace(".", "/") + ".py"
    places = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for floor in ("models", "tasks", "flows")
        for path in sorted((REPOSITORY / floor).rglob("*.py"))
        if path != REPOSITORY / own and name in text_of(path)
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and node.value == name
    ]
    assert not places, f"{places} name the kind {name!r}: ask the feature instead (see {own} and Feature)"


class Unfinished(TextColumn):
    """A kind that lacks some parts."""

    kind: Literal["unfinished"] = "unfinished"
    silent: int = 1

    missing: ClassVar[str] = "a row of its own"
    network_keys: ClassVar[frozenset[str]] = frozenset({"gone"})


class Rowless(NumberFeature):
    """A number that says that it has rows, and not which."""

    kind: Literal["rowless"] = "rowless"

    meaning: ClassVar[str] = "nothing"
    missing: ClassVar[str] = "nothing"
    table_rows: ClassVar[int] = 3


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            Unfinished,
            [
                "`meaning` is not set: docs/recipe.md shows it",
                "`silent` says nothing: write a docstring below it; docs/recipe.md shows it",
                "`network_keys` names 'gone', which is no key of it",
                "['texts_of'] must be written",
            ],
        ),
        (
            Rowless,
            [
                "`fit_edges` must be written: `table_rows` is 3",
                "`find_row` must be written: `table_rows` is 3",
            ],
        ),
    ],
)
def test_the_check_says_which_parts_a_kind_lacks(monkeypatch, kind, expected):
    name = kind.model_fields["kind"].default
    monkeypatch.setitem(KINDS, name, kind)
    assert list(missing_parts(name)) == expected


@pytest.fixture
def prefix(monkeypatch, tmp_path):
    """The kind of docs/extending.md, registered."""
    kind = documented_module("prefix.py", tmp_path).Prefix
    monkeypatch.setitem(KINDS, "prefix", kind)
    return kind


def test_the_documented_kind_has_all_its_parts(prefix):
    assert list(missing_parts("prefix")) == []


def test_a_registered_kind_is_found_by_recipe_columns_encoding_and_reference(prefix, tiny_recipe):
    other = tiny_recipe()
    recipe = tiny_recipe(features=[{"name": "postcode", "kind": "prefix", "length": 2, "buckets": 50, "min_rows": 3}])
    (feature,) = recipe.features
    assert feature == prefix(name="postcode", length=2, buckets=50, min_rows=3)
    assert type(recipe).model_validate(recipe.model_dump(mode="json")) == recipe
    assert "postcode" in [column.name for column in impression_columns(recipe)]
    assert raw_columns(recipe.features) == {"postcode": "string"}
    assert (slots(recipe.features), field_offsets((feature.knowing([4, 2, 4]),))) == (1, (0, 2 + 2))
    assert "| [`prefix`](#prefix) | the embedding row of a text's first bytes |" in write_reference()
    assert "| `length` | whole number from 1 | `3` | So many bytes count, from the first. |" in write_reference()
    longer = feature.model_copy(update={"length": 4})
    assert encoding_of((longer,)) != encoding_of((feature,))
    bounded = feature.model_copy(update={"min_rows": 9, "buckets": 0})
    assert encoding_of((bounded,)) == encoding_of((feature,))
    assert not longer.has_rows_of(feature)
    assert bounded.has_rows_of(feature)
    assert tiny_recipe().digest == other.digest


@pytest.mark.usefixtures("prefix")
def test_the_errors_of_other_kinds_know_a_registered_one():
    with pytest.raises(ValidationError, match="'hour', 'weekday' or 'prefix'"):
        feature_of({"name": "f", "kind": "suffix"})
    with pytest.raises(
        ValidationError,
        match="expected of kind numeric only column, encoding, known_before, transform, received length",
    ):
        feature_of({"name": "f", "kind": "numeric", "length": 2})


def test_a_recipe_that_names_no_new_kind_is_stored_and_digested_as_before():
    document = feature_of({"name": "user", "kind": "categorical", "buckets": 50}).model_dump(mode="json")
    own = {"name": "user", "kind": "categorical", "buckets": 50}
    assert document == {**FORMER_KEYS, **own, "columns": [], "edges": []}
    assert encoding_of((feature_of({**document}),)) == [
        {"encoding": 3},
        {"kind": "categorical", "sources": ("user",)},
    ]


@pytest.mark.parametrize("name", KINDS)
def test_a_confirmed_feature_is_encoded_digested_and_learnt_as_before_it_was(name):
    feature = example_of(name)
    confirmed = feature.model_copy(update={"known_before": True})
    assert "known_before" not in feature.model_dump()
    assert feature_of(confirmed.model_dump()) == confirmed
    assert encoding_of((confirmed,)) == encoding_of((feature,))
    assert confirmed.has_rows_of(feature)
