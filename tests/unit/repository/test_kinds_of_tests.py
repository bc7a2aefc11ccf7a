"""The three kinds of tests, told apart by what they need; and unit tests that need nothing but this process."""

import ast
from pathlib import Path

from tests.support.repository import REPOSITORY, imports_of

TESTS = REPOSITORY / "tests"
KINDS = ("unit", "tensorflow", "integration", "stack")
TENSORFLOW = {"tensorflow", "keras"}
STARTERS = {"subprocess", "multiprocessing", "socket", "socketserver", "http", "urllib", "tests.support.processes"}
STARTERS |= {f"tests.support.{name}" for name in ("alert_receivers", "browser", "forked", "s3_server", "faulty_proxy")}
UNIT = sorted((TESTS / "unit").rglob("test_*.py"))


def imports_at_the_top(path):
    """Modules that a file imports as soon as it is imported itself."""
    found = []
    for node in imports_of(path):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def file_of(module):
    """The repository's file that holds a module; None where there is none."""
    file = REPOSITORY / f"{module.removeprefix('ctr_retrain.').replace('.', '/')}.py"
    return file if file.is_file() else None


def ways_to(wanted, paths):
    """Files and the module by which importing one of some files imports a wanted one: one way for each that does."""
    ways, seen, found = [(path,) for path in paths], set(paths), []
    while ways:
        way = ways.pop()
        for module in imports_at_the_top(way[-1]):
            if module.split(".")[0] in wanted:
                found.append(" → ".join([*(str(file.relative_to(REPOSITORY)) for file in way), module]))
            elif (file := file_of(module)) and file not in seen:
                seen.add(file)
                ways.append((*way, file))
    return found


def starters_of(path):
    return sorted(STARTERS & {part for module in imports_at_the_top(path) for part in (module, module.split(".")[0])})


def test_each_test_file_stands_in_the_folder_of_its_kind():
    found = {path.relative_to(TESTS).parts for path in TESTS.rglob("test_*.py")}
    astray = sorted("/".join(parts) for parts in found if parts[0] not in KINDS)
    assert not astray, f"{astray}: move them to {', '.join(KINDS)}; CONTRIBUTING.md says which is for what"


def test_a_unit_test_imports_no_tensorflow():
    ways = ways_to(TENSORFLOW, UNIT)
    assert not ways, f"{ways}: TensorFlow takes seconds to import; move these tests to tests/tensorflow"


def test_a_unit_test_starts_no_process_and_no_server():
    starters = {str(path.relative_to(REPOSITORY)): found for path in UNIT if (found := starters_of(path))}
    assert not starters, f"{starters}: move these tests to tests/integration"


def test_the_check_sees_what_is_imported_by_a_detour(tmp_path):
    ways = ways_to(TENSORFLOW, [TESTS / "tensorflow" / "models" / "training" / "test_batches.py"])
    assert max(way.count("→") for way in ways) > 1
    wrong = Path(tmp_path, "wrong.py")
    wrong.write_text("from urllib.request import urlopen\nfrom tests.support import forked\n", encoding="utf-8")
    assert starters_of(wrong) == ["tests.support.forked", "urllib"]
