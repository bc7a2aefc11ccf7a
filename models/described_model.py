"""Models whose JSON schemas say what each key means: by the text below it, read when a schema is made.

pydantic reads these texts itself where `use_attribute_docstrings` is set, but each time a class is made: with the
documents and sections of this software that took every command a third of a second, and no command shows a schema.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue


class DescribedModel(BaseModel):
    """A model with a text below each key."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        """Return the schema with what each key means."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for key, text in descriptions(cls).items():
            field = cls.model_fields[key]
            for name in {key, field.alias, field.serialization_alias} & properties.keys():
                properties[name].setdefault("description", text)
        return schema


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return the text below each key of a model, its own or that of the class it has the key from."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        found |= _texts_by_class(kind.__module__).get(kind.__qualname__, {})
    return {key: found[key] for key in model.model_fields if key in found}


@cache
def _texts_by_class(module: str) -> dict[str, dict[str, str]]:
    """Return of each class at the top of a module the text below each of its keys; nothing where there is no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):  # a class that was made by hand, or a built-in one
        return {}
    return {node.name: _texts_of(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _texts_of(node: ast.ClassDef) -> dict[str, str]:
    """Return the text below each key of a class."""
    return {
        key.target.id: inspect.cleandoc(below.value.value)
        for key, below in pairwise(node.body)
        if isinstance(key, ast.AnnAssign)
        and isinstance(key.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
