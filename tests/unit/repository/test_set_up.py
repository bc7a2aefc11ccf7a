"""What a fresh machine meets: the install script's words, and lock files that hold on any machine."""

import os
import re
import subprocess
import sys

import pytest

from tests.support.repository import REPOSITORY

LOCKS = ("requirements.lock", "requirements-gpu.lock")


def install(python, cwd):
    """The install script's exit status and words, in a folder where it can do no harm."""
    script = cwd / "infra" / "install.sh"
    script.parent.mkdir()
    script.write_bytes((REPOSITORY / "infra" / "install.sh").read_bytes())
    finished = subprocess.run(
        ["/bin/sh", str(script)], env={**os.environ, "PYTHON": str(python)}, capture_output=True, text=True, check=False
    )
    return finished.returncode, finished.stderr


def test_a_machine_without_python_is_told_which_package_to_install(tmp_path):
    status, words = install(tmp_path / "none", tmp_path)
    assert status == 2
    assert "expected 3.11, 3.12 or 3.13, received none" in words
    assert "apt-get install python3 python3-venv" in words


def test_a_machine_without_the_venv_module_is_told_which_package_to_install(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n', encoding="utf-8")
    python.chmod(0o755)
    status, words = install(python, tmp_path)
    assert status == 2
    assert "expected its venv module" in words
    assert "apt-get install python3-venv" in words


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_the_lock_is_pinned_with_hashes_and_none_with_an_address(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    requirements = [block for block in re.split(r"\n(?=\S)", text) if block.strip()]
    assert len(requirements) > 100
    for block in requirements:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_the_gpu_lock_adds_cuda_and_changes_nothing_else():
    pins = re.compile(r"^([\w.-]+==\S+)", re.MULTILINE)
    plain, gpu = (set(pins.findall((REPOSITORY / name).read_text(encoding="utf-8"))) for name in LOCKS)
    assert plain < gpu
    assert all(package.startswith("nvidia-") for package in gpu - plain)


def test_telemetry_is_off_before_anything_could_phone_home():
    code = "import ctr_retrain.flows.quiet_libraries, os; "
    code += "print(os.environ['PREFECT_SERVER_ANALYTICS_ENABLED'], os.environ['DO_NOT_TRACK'], "
    code += "os.environ['GX_ANALYTICS_ENABLED']); import prefect.settings as s; "
    code += "print(s.PREFECT_SERVER_ANALYTICS_ENABLED.value())"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "GX", "DO_NOT"))
    }
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.split() == ["false", "1", "false", "False"]
