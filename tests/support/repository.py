"""Where this repository is, the recipes that it ships, and its Python files as syntax trees."""

import ast
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RECIPES = REPOSITORY / "infra" / "recipes"


IMPORT = re.compile(r"^(?:import|from)\s(?:[^\n(]*\([^)]*\)|[^\n]*)", re.MULTILINE)


@cache
def text_of(path):
    """The text of a file, read once a session. Most files can't break a rule by their text, and needn't be parsed."""
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path):
    """The syntax tree of a Python file, parsed once a session: many rules look at the same files."""
    return ast.parse(text_of(path))


@cache
def imports_of(path):
    """The import statements at a file's top level, without parsing the rest of it, which takes 20 times as long."""
    found = []
    for statement in IMPORT.findall(text_of(path)):
        with suppress(SyntaxError):  # a line of a text that begins so
            found += ast.parse(statement).body
    return found


@cache
def nodes_of(path):
    """All nodes of the file's tree, in the order of `ast.walk`."""
    return tuple(ast.walk(tree_of(path)))
