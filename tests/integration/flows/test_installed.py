"""Rules of the wheel: installed, it works in an empty folder and beside a user's own models, tasks and flows."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.repository import REPOSITORY

NETWORK = "def build(embedded, numeric, training):\n    return numeric\n"
FIND_NETWORK = """
from ctr_retrain.models.network.custom_network import find_network
from ctr_retrain.models.recipe.training_section import Training
print(find_network(Training(network="models.towers:build")))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this checkout without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    pip(sys.executable, "wheel", *options, "--wheel-dir", folder, REPOSITORY)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel and, by a path file, the dependencies of the one that runs the tests.

    Path files within that one are not read, so that this repository, an editable install there, is not found.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip(sys.executable, "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin"


def pip(python, *arguments):
    finished = subprocess.run([python, "-m", "pip", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def ask(program, *arguments, cwd, **environment):
    """Run a program of the installed environment; answers its exit status, stdout and stderr."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PREFECT_", "CTR_"))}
    finished = subprocess.run(
        [program, *map(str, arguments)],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return SimpleNamespace(status=finished.returncode, stdout=finished.stdout, stderr=finished.stderr)


def test_the_wheel_holds_the_three_folders_recipes_and_templates_below_one_name_and_nothing_else(wheel):
    inside = {Path(name) for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    package = {path for path in inside if path.parts[0] == "ctr_retrain"}
    assert {path.parts[0] for path in inside - package} == {"ctr_retrain-0.1.0.dist-info"}
    assert {path.parts[1] for path in package} == {
        *("flows", "tasks", "models", "recipes"),
        *("__init__.py", "py.typed"),
    }
    for floor in ("flows", "tasks", "models"):
        ours = {path.relative_to(REPOSITORY) for path in (REPOSITORY / floor).rglob("*.*") if path.suffix != ".pyc"}
        assert {path.relative_to("ctr_retrain") for path in package if path.parts[1] == floor} == ours
    recipes = {path.name for path in (REPOSITORY / "infra" / "recipes").iterdir()}
    assert {path.name for path in package if path.parts[1] == "recipes"} == recipes


def test_version_and_help_answer_in_an_empty_folder(installed, tmp_path):
    version = ask(installed / "ctr-retrain", "--version", "--json", cwd=tmp_path)
    assert version.status == 0, version.stderr
    assert json.loads(version.stdout)["version"] == "0.1.0"
    answer = ask(installed / "ctr-retrain", "--help", cwd=tmp_path)
    assert answer.status == 0, answer.stderr
    assert "Retrain a CTR model every day" in answer.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_code_of_the_wheel_is_the_repositorys(installed, tmp_path):
    codes = {ask(installed / "ctr-retrain", "--version", "--json", cwd=tmp_path).stdout}
    codes.add(ask(Path(sys.executable).parent / "ctr-retrain", "--version", "--json", cwd=tmp_path).stdout)
    assert len(codes) == 1


def test_a_shipped_recipe_is_found_by_its_name_in_an_empty_folder(installed, tmp_path):
    event = "event_id,ts,user_id,channel,campaign_id\n1,2026-03-03T10:00:00Z,someone,ad,spring\n"
    (tmp_path / "events.csv").write_text(event, encoding="utf-8")
    land = ("--landing", "landing", "land", "--from", "events.csv", "--json")
    for chosen in ([], ["--recipe", "demo"]):
        landed = ask(installed / "ctr-retrain", *chosen, *land, cwd=tmp_path)
        assert landed.status == 0, landed.stderr
        assert json.loads(landed.stdout)["rows"] == {"2026-03-03": 1}
    refused = ask(installed / "ctr-retrain", "--recipe", "dmeo", *land, cwd=tmp_path)
    assert refused.status == 2
    assert f"({tmp_path / 'dmeo'})" in refused.stderr
    assert "shipped recipe: avazu, criteo_attribution, demo, open_bandit" in refused.stderr


def test_a_users_own_models_tasks_and_flows_neither_break_the_program_nor_are_shadowed(installed, tmp_path):
    for folder in ("models", "tasks", "flows"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(f"raise RuntimeError('{folder} of the user')", encoding="utf-8")
    claim_root(LocalStore(tmp_path / "root"), "demo")
    status = ask(installed / "ctr-retrain", "--root", "root", "status", "--json", cwd=tmp_path, PYTHONPATH=".")
    assert status.status == 0, status.stderr
    assert json.loads(status.stdout)["champion"] is None

    (tmp_path / "models" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "models" / "towers.py").write_text(NETWORK, encoding="utf-8")
    found = ask(installed / "python", "-c", FIND_NETWORK, cwd=tmp_path, PYTHONPATH=".")
    assert found.stdout.startswith("<function build"), found.stderr
