"""What a fresh machine meets: the install script's words, and lock files that hold on any machine."""

import os
import subprocess
import sys

from tests.support.repository import REPOSITORY


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


def test_telemetry_is_off_as_soon_as_the_flows_are_imported():
    program = (
        "import ctr_retrain.flows.quiet_libraries, os; print(*(os.environ[n] for n in "
        "('PREFECT_SERVER_ANALYTICS_ENABLED', 'DO_NOT_TRACK', 'GX_ANALYTICS_ENABLED', 'MLFLOW_DISABLE_TELEMETRY')))"
    )
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "infra" / "package")}
    answered = subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True)
    assert answered.stdout.split() == ["false", "1", "false", "true"]
