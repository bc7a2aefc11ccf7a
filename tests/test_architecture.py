"""The arrows flows → tasks → models hold, and nothing runs in circles."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {"models": {"models"}, "tasks": {"tasks", "models"}, "flows": {"flows", "tasks", "models"}}
IMPURE = {"prefect", "boto3", "great_expectations", "typer", "requests", "urllib", "subprocess", "os"}
FILES = [path for layer in MAY_IMPORT for path in sorted((ROOT / layer).glob("*.py"))]


def imported_modules(path):
    """Every module that a file names in an import, in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_layer_imports_only_layers_below_it(path):
    layer = path.parent.name
    wrong = {m for m in imported_modules(path) if m.split(".")[0] in MAY_IMPORT.keys() - MAY_IMPORT[layer]}
    assert not wrong, (
        f"{layer}/{path.name} imports {sorted(wrong)}. The arrow is flows → tasks → models: move what is needed "
        f"down into {min(MAY_IMPORT[layer])}/, or pass it in as an argument."
    )


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*.py")), ids=lambda path: path.name)
def test_models_know_no_orchestrator_no_storage_and_no_environment(path):
    wrong = {module for module in imported_modules(path) if module.split(".")[0] in IMPURE}
    assert not wrong, f"models/{path.name} imports {sorted(wrong)}: let a task do that and pass the result in."


def test_no_module_imports_itself_in_a_circle():
    names = {f"{path.parent.name}.{path.stem}": path for path in FILES}
    graph = {name: {m for m in imported_modules(path) if m in names} for name, path in names.items()}
    done = set()

    def visit(name, trail):
        assert name not in trail, (
            f"a circle: {' → '.join([*trail[trail.index(name) :], name])}. Move what both need into a third module."
        )
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, [*trail, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])


def test_the_check_sees_an_import_against_the_arrow(tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text("def f():\n    from flows import daily\n")
    assert "flows.daily" in set(imported_modules(file))
