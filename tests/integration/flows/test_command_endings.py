"""Rules of how a command ends that somebody stops, or that comes upon a bug."""

import subprocess
import sys

import pytest

from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import run
from tests.support.small_world import clean_environment


@pytest.fixture
def new_root(tmp_path):
    """A root that a recipe has claimed, and under which nothing else stands."""
    claim_root(LocalStore(tmp_path / "root"), "small")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("first", "last", "status", "words"),
    [
        (KeyboardInterrupt, KeyboardInterrupt, 130, "stopped"),
        (KeyboardInterrupt, ZeroDivisionError, 130, "stopped"),  # a failure on the way out is no bug
        (ZeroDivisionError, ZeroDivisionError, 1, "Nobody foresaw this"),
    ],
)
def test_ctrl_c_and_a_bug_give_their_document_too(new_root, monkeypatch, first, last, status, words):
    def fail(store):
        try:
            raise first
        finally:
            raise last

    monkeypatch.setattr("ctr_retrain.tasks.operate.registry.list_models", fail)
    answer = run("models", "--root", new_root, "--json")
    assert answer.status == answer.document["error"]["exit_code"] == status
    assert answer.document["error"]["type"] == first.__name__
    assert words in answer.stderr


@pytest.mark.parametrize("work", ["exec('os.kill(os.getpid(), signal.SIGTERM)')", "Dropped()"])
def test_a_stop_amid_code_made_by_code_or_amid_a_destructor_is_a_stop_like_any(tmp_path, work):
    lines = [
        "import os, signal, time",
        "import typer",
        "from ctr_retrain.flows.commands.command_output import run",
        "class Dropped:",
        "    def __del__(self):",
        "        os.kill(os.getpid(), signal.SIGTERM)",
        "        time.sleep(60)",
        "def work():",
        f"    {work}",
        "    time.sleep(60)",
        "app = typer.Typer()",
        "app.command()(work)",
        "run(app, [])",
    ]
    (tmp_path / "stopped.py").write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "stopped"], cwd=tmp_path, env=clean_environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, b"stopped\n")


@pytest.mark.parametrize("writable", [True, False])
def test_a_bug_is_one_line_with_the_path_of_its_traceback_which_is_shown_where_no_file_takes_it(
    new_root, monkeypatch, tmp_path, writable
):
    def fail(store):
        raise ZeroDivisionError(store.root)

    monkeypatch.setattr("ctr_retrain.tasks.operate.registry.list_models", fail)
    (tmp_path / "file").touch()
    folder = tmp_path / ("log" if writable else "file")
    monkeypatch.setenv("CTR_RETRAIN_LOG_FOLDER", str(folder))
    answer = run("models", "--root", new_root)
    assert answer.status == 1
    assert answer.stderr.count("\n") == (1 if writable else answer.stderr.count("\n"))
    assert ("Traceback" in answer.stderr) is not writable
    if writable:
        (log,) = folder.iterdir()
        assert str(log) in answer.stderr
        assert "in fail" in log.read_text(encoding="utf-8")


# --- challengers that are not put into service, and models that are by hand
