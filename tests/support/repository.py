"""Where this repository is, the recipes that it ships, and its Python files as syntax trees."""

import ast
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RECIPES = REPOSITORY / "infra" / "recipes"


@cache
def tree_of(path):
    """The syntax tree of a Python file, parsed once a session: many rules look at the same files."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path):
    """All nodes of the file's tree, in the order of `ast.walk`."""
    return tuple(ast.walk(tree_of(path)))
