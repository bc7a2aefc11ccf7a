"""The floors flows → tasks → models, the order of the rooms on each, and names that tell files apart."""

import ast
import re
from collections import Counter
from functools import cache

import pytest

from tests.support.repository import RECIPES, REPOSITORY, nodes_of, text_of, tree_of

PACKAGE = "ctr_retrain"
FLOORS = ("models", "tasks", "flows")
IMPURE = {"prefect", "boto3", "great_expectations", "typer", "requests", "urllib", "subprocess", "os"}
TESTS = REPOSITORY / "tests"
MOST_MODULES = 13  # in a folder: more, and a newcomer can't guess where a file is

# A stage is a plain function, which Prefect wraps where a flow uses it. These need Prefect itself, and only where a
# server of it is named: for records of runs and days, and for events.
PREFECT_IN_TASKS = {
    *(f"tasks.orchestration.{name}" for name in ("prefect_server", "recorded", "prefect_records", "prefect_days")),
    *(f"tasks.orchestration.{name}" for name in ("prefect_exit", "run_notes", "dask_cluster")),
    "tasks.alerts.prefect_events",
}

# From the ground up: a package may import those before it, never one behind it. `flows.cli` puts the commands together
# and stands above them, though it lies beside the flows that they call: `ctr_retrain.flows.cli:main` must stay.
ENTRY = "flows.cli"
ORDER = (
    "models",  # errors, number_format and section, which all may use
    *(f"models.{room}" for room in ("documents", "incidents", "feature_kinds", "architectures")),
    *(f"models.{room}" for room in ("recipe", "data", "levels", "drift", "features")),
    *(
        f"models.{room}"
        for room in (
            "judging",
            "judged_slices",
            "decisions",
            "ledger",
            "gate",
            "policies",
            "leaks",
            "losses",
            "network",
            "weights",
            "training",
            "linear",
            "serving",
        )
    ),
    *(f"models.{room}" for room in ("yardstick", "feature_worth", "trials", "charts", "simulation", "imbalance")),
    "models.first_recipe",
    *(f"tasks.{room}" for room in ("execution", "machines", "orchestration", "integrity", "store", "lease", "pages")),
    *(f"tasks.{room}" for room in ("landing", "reading", "ingest", "label", "alerts")),
    *(
        f"tasks.{room}"
        for room in (
            *("validate", "plan", "ledger", "first_recipe", "train", "slices", "decisions", "evaluate", "deploy"),
            "report",
        )
    ),
    *(f"tasks.{room}" for room in ("operate", "nights", "backfill", "schedule", "observe", "compare", "demo")),
    "flows",
    "flows.machine",
    "flows.schedules",
    "flows.commands",
    ENTRY,
)
FILES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts): path
    for floor in FLOORS
    for path in sorted((REPOSITORY / floor).rglob("*.py"))
}
MODULES = {name: path for name, path in FILES.items() if path.stem != "__init__"}


def imported_modules(path):
    """Every module that a file names in an import, in functions too."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def own_imports(path):
    """The modules of ours that a file imports, without the import name before them."""
    short = (module.removeprefix(f"{PACKAGE}.") for module in imported_modules(path))
    return {module for module in short if module in MODULES}


def room_of(name):
    """The package of a module, such as `tasks.store`."""
    return name.rsplit(".", maxsplit=1)[0]


def place_of(name):
    """The place of a module in the order: its package's, or its own."""
    return ORDER.index(name if name == ENTRY else room_of(name))


def wrong_imports(name, path):
    """The modules of packages behind its own that a module imports."""
    return sorted(module for module in own_imports(path) if place_of(module) > place_of(name))


def found_in(modules, find):
    """The modules where `find`, called with a name and its file, finds something, and what."""
    return {name: found for name, path in modules.items() if (found := find(name, path))}


def modules_under(*packages):
    """The modules of some packages."""
    return {name: path for name, path in MODULES.items() if name.startswith(packages)}


def test_each_package_imports_only_packages_before_it():
    wrong = found_in(MODULES, wrong_imports)
    assert not wrong, (
        f"{wrong}: these imports stand behind their module's own package in ORDER (flows → tasks → models, and rooms "
        "in their order). Move what both need down into the lower package, or pass it in as an argument."
    )


def test_models_know_no_orchestrator_no_storage_and_no_environment():
    wrong = found_in(
        modules_under("models."),
        lambda _, path: sorted({module for module in imported_modules(path) if module.split(".")[0] in IMPURE}),
    )
    assert not wrong, f"{wrong}: let a task do that and pass the result in."


def test_stages_are_plain_functions_that_flows_wrap():
    stages = modules_under("tasks.")
    knowing = found_in(
        stages, lambda _, path: any(module.split(".")[0] == "prefect" for module in imported_modules(path))
    )
    assert set(knowing) <= PREFECT_IN_TASKS, f"{sorted(knowing)} import prefect: wrap it in flows/stages.py."
    unwrapped = found_in(stages, lambda _, path: ".fn(" in text_of(path))
    assert not unwrapped, f"{sorted(unwrapped)} call a function out of a Prefect task: import the plain one."


def untyped_ref_calls(name, path):
    """The calls of a module outside the store that read or write a ref or a manifest without its type."""
    calls = {
        node.func.attr for node in nodes_of(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    untyped = {"read_ref", "swap_ref", "list_refs", "manifest"}
    return sorted(calls & untyped) if room_of(name) not in ("tasks.store", "tasks.lease") else []


def test_refs_and_manifests_are_read_and_written_by_their_types():
    raw = found_in(MODULES, untyped_ref_calls)
    assert not raw, (
        f"{raw}: these calls know no types: use load_ref, load_day_refs, list_day_refs, replace_ref, load_manifest and "
        "has_object of tasks.store.protocol."
    )


def untyped_signatures(path):
    """The functions of a file that take or return dictionaries of anything."""
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [argument.annotation for argument in (*node.args.args, *node.args.kwonlyargs)]
            if any(annotation and "dict[str, Any]" in ast.unparse(annotation) for annotation in [*given, node.returns]):
                yield node.name


def test_answers_travel_as_their_types_until_they_are_printed():
    untyped = found_in(modules_under("flows.", "tasks.operate."), lambda _, path: list(untyped_signatures(path)))
    untyped.pop("flows.commands.command_output", None)  # where JSON is made of them
    assert not untyped, f"{untyped} pass dict[str, Any]: pass a type of models/documents and read its attributes."


def test_the_library_for_other_peoples_models_is_used_by_nothing_of_ours():
    users = {
        name: used
        for name, path in MODULES.items()
        if not name.startswith("models.imbalance.")
        and (used := sorted(module for module in own_imports(path) if module.startswith("models.imbalance.")))
    }
    assert not users, f"{users}: move what the pipeline needs out of the library (docs/keras-library.md)"


def test_no_module_imports_itself_in_a_circle():
    graph = {name: own_imports(path) for name, path in MODULES.items()}
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


def test_our_modules_are_imported_by_their_whole_name():
    tests = {str(path.relative_to(REPOSITORY)): path for path in sorted(TESTS.rglob("*.py"))}
    likely = re.compile(rf"(?m)^\s*(from|import)\s+({'|'.join(FLOORS)})\b")  # others needn't be parsed
    short = found_in(
        {name: path for name, path in {**FILES, **tests}.items() if likely.search(text_of(path))},
        lambda _, path: sorted({module for module in imported_modules(path) if module.split(".")[0] in FLOORS}),
    )
    assert not short, (
        f"{short}: write {PACKAGE}.… instead. A short name is a second copy of the module in this repository, and "
        "nothing, or somebody else's, on a user's machine."
    )


def test_a_folder_holds_few_enough_modules_to_know_them():
    inside = Counter(room_of(name) for name in MODULES)
    full = {room: count for room, count in inside.items() if count > MOST_MODULES}
    assert not full, f"{full}: at most {MOST_MODULES} modules; split a folder by what its files are about."


def test_every_package_has_its_place_in_the_order_and_says_what_it_is():
    rooms = {room_of(name) for name in MODULES}
    assert rooms == set(ORDER) - {ENTRY}, "add a new package to ORDER, after all that it imports"
    for room in rooms:
        init = FILES.get(f"{room}.__init__")
        assert init is not None, f"{room}: add an __init__.py with a docstring"
        assert ast.get_docstring(tree_of(init)), f"{init}: say what the package is"


def test_no_two_modules_bear_the_same_name():
    stems = Counter(path.stem for path in MODULES.values())
    twice = sorted(stem for stem, times in stems.items() if times > 1)
    assert not twice, f"{twice}: a search for a file by its name should find one; name what tells them apart"


def names_given_twice(_, path):
    """The names that a file assigns at its top level more than once."""
    given = Counter(
        target.id
        for node in tree_of(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    )
    return sorted(constant for constant, times in given.items() if times > 1)


def test_a_module_gives_a_name_to_one_thing_only():
    twice = found_in(MODULES, names_given_twice)
    assert not twice, f"{twice} are assigned again: what read the first now gets the second"


def test_the_import_name_leads_to_the_three_folders_and_the_recipes():
    links = {
        path.name: path.resolve() for path in (REPOSITORY / "infra" / "package" / PACKAGE).iterdir() if path.is_dir()
    }
    links.pop("__pycache__", None)
    assert links == {**{floor: REPOSITORY / floor for floor in FLOORS}, "recipes": RECIPES}


@pytest.mark.parametrize(
    ("importer", "statement"),
    [
        ("tasks.store.cache", f"from {PACKAGE}.flows import daily"),
        ("models.data.days", f"from {PACKAGE}.tasks.store import layout"),
        ("models.recipe.recipe", f"from {PACKAGE}.models.training.batches import Batches"),
        ("tasks.ingest.ingest_day", f"import {PACKAGE}.tasks.label.label_day"),
        ("flows.daily", f"from {PACKAGE}.flows.commands.command_output import CommandOutput"),
        ("flows.commands.day_commands", f"from {PACKAGE}.flows.cli import app"),
    ],
)
def test_the_check_sees_an_import_against_the_order(tmp_path, importer, statement):
    file = tmp_path / "wrong.py"
    file.write_text(f"def f():\n    {statement}\n", encoding="utf-8")
    assert wrong_imports(importer, file)
