"""The reference of the recipe's keys, from the sections that check them: key, type, default and meaning."""

from collections.abc import Iterator
from typing import Any

from ctr_retrain.models.architectures.shipped_networks import NETWORKS
from ctr_retrain.models.feature_kinds.feature import Feature
from ctr_retrain.models.feature_kinds.kinds import KINDS
from ctr_retrain.models.recipe.recipe import Recipe
from tests.docs.recipe_differences import write_differences

HEAD = """# The recipe, key by key

What to train and how to judge it: one TOML file, saved in every model.
`make docs` writes this page from the code that checks a recipe (`models/recipe/`); a test fails when it is stale.

A key that is not known is refused, and so is a value outside its bounds, with key, expected and received.
Keys that are `required` have to be there; a section whose keys all have defaults may be left out.
[recipe.schema.json](schemas/recipe.schema.json) says the same to an editor.
`infra/recipes/demo.toml` shows every key in its place.
[getting-started.md](getting-started.md) begins with a short recipe.
Each [kind of feature](#kinds-of-features) has keys of its own.
"""
KINDS_HEAD = """### Kinds of features

| kind | what the network gets | where the value is missing | the column when serving |
| --- | --- | --- | --- |"""
SERVED = {  # a column's type in the served graph, by what it holds
    "text": 'string, "" where missing',
    "number": "float32, NaN where missing",
    "time": "int64, microseconds since 1970",
}
TABLE = "| key | type | default | meaning |\n| --- | --- | --- | --- |"

Schema = dict[str, Any]  # a part of the recipe's JSON schema


def write_reference() -> str:
    """The page: a table for each section of the recipe, in the order in which a recipe names them."""
    schema = Recipe.model_json_schema()
    return "\n".join([HEAD, *_section("", "At the top", schema, schema["$defs"]), write_differences()])


def _section(path: str, heading: str, section: Schema, parts: dict[str, Schema]) -> Iterator[str]:
    """A section's heading and table, then those of the sections below it."""
    yield f"## {heading}\n\n{_words(section)}\n\n{TABLE}"
    below = []
    for key, field in section["properties"].items():
        name, header = _part(f"{path}.{key}".lstrip("."), field)
        part = parts.get(name)
        if part:
            below.append((header, part))
        kind = f"[`{header}`](#{_anchor(header)})" if part else _kind(field)
        if section.get("title") == "Feature" and key == "kind":
            kind = "one of the [kinds](#kinds-of-features)"
        yield f"| `{key}` | {kind} | {_default(key, field, section, part)} | {_words(field) or _words(part)} |"
    yield ""
    match section.get("title"):
        case "Feature":
            yield from _kinds()
        case "Training":
            yield from _networks()
    for header, part in below:
        yield from _section(header.strip("[]"), f"`{header}`", part, parts)


def _kinds() -> Iterator[str]:
    """A table of the kinds of features, then a table of the keys of each."""
    yield KINDS_HEAD
    for name, kind in KINDS.items():
        yield f"| [`{name}`](#{name}) | {kind.meaning} | {kind.missing} | {SERVED[kind.holds]} |"
    yield ""
    for name, kind in KINDS.items():
        schema = kind.model_json_schema()
        own = {key: field for key, field in schema["properties"].items() if key not in Feature.model_fields}
        rows = [
            f"| `{key}` | {_kind(field)} | {_default(key, field, schema, None)} | {_words(field)} |"
            for key, field in own.items()
        ]
        yield "\n".join([f"### `{name}`\n\n{_words(schema)}\n\n{TABLE}", *rows, ""])


def _networks() -> Iterator[str]:
    """A table of the shipped networks."""
    yield "### Networks\n\n| network | what its function does |\n| --- | --- |"
    for name, network in NETWORKS.items():
        yield f"| `{name}` | {network.summary} |"
    yield ""


def _part(path: str, field: Schema) -> tuple[str, str]:
    """The name of the section that a key holds, empty where it holds a value, and the header that a recipe gives it."""
    named = next(iter(field.get("patternProperties", {}).values()), {})
    for holder, header in ((field, f"[{path}]"), (field.get("items", {}), f"[[{path}]]"), (named, f"[{path}.NAME]")):
        if "$ref" in holder:
            return str(holder["$ref"]).rsplit("/", maxsplit=1)[-1], header
    return "", ""


def _default(key: str, field: Schema, section: Schema, part: Schema | None) -> str:
    if key in section.get("required", ()):
        return "required"
    if part:
        return ""
    value = field.get("default", {})
    return f"`{value}`" if field.get("format") == "date" else f"`{_toml(value)}`"


def _words(field: Schema | None) -> str:
    return " ".join((field or {}).get("description", "").split()).replace("|", "\\|")


def _anchor(header: str) -> str:
    """As GitHub makes it of a heading."""
    return "".join(letter for letter in header.lower() if letter.isalnum() or letter in "_-")


def _kind(field: Schema) -> str:  # noqa: PLR0911 - a return a type
    """A value's type and bounds, in words."""
    if "anyOf" in field:
        return ", or ".join(_kind(part) for part in field["anyOf"])
    if values := field.get("enum", [field["const"]] if "const" in field else []):
        return ("one of " if len(values) > 1 else "") + ", ".join(f"`{_toml(value)}`" for value in values)
    match field:
        case {"prefixItems": [first, *_] as items}:
            return f"list of {len(items)}, each: {_kind(first)}"
        case {"type": "array"}:
            return f"list{', not empty' if field.get('minItems') else ''}, each: {_kind(field['items'])}"
        case {"type": "object", "patternProperties": values} | {"type": "object", "additionalProperties": values}:
            return f"table, each: {_kind(next(iter(values.values())) if 'type' not in values else values)}"
        case {"type": "integer"}:
            return f"whole number{_bounds(field)}"
        case {"type": "number"}:
            return f"number{_bounds(field)}"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": "string"}:
            return "date" if field.get("format") == "date" else "name" if "pattern" in field else "text"
    msg = f"expected a type that the reference has words for, received {field}"
    raise ValueError(msg)


def _bounds(field: Schema) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return "".join(f" {word} {_number(field[bound])}" for bound, word in words.items() if bound in field)


def _toml(value: Any) -> str:
    """A value as a recipe says it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'.replace("|", "\\|")
        case list():
            return f"[{', '.join(_toml(part) for part in value)}]"
        case {}:
            return "{}"
    return _number(value)


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
