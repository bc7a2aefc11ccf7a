"""A PostgreSQL of the stack's own: its data in a folder, a free port of this machine, a password that nobody sees."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.tasks.orchestration.own_server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "prefect"  # of the database, and its superuser; databases of that name and "postgres" are in it
START_SECONDS = 60
STOP_SECONDS = 30


@contextmanager
def own_postgres(folder: Path) -> Iterator[str]:
    """Start PostgreSQL with its data in `folder`, give the address that SQLAlchemy takes, and stop it.

    Root may not run it: then it runs as the user postgres, to whom the folder is given.
    """
    owner = _owner(folder)
    password = _data(folder, owner)
    port = free_port()
    process = subprocess.Popen(
        [*_as(owner), _program("postgres"), "-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", ""],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "postgres.log").open("ab"),
    )
    try:
        _wait(port, process, folder / "postgres.log")
        _make_database(port, password)
        yield f"postgresql+asyncpg://{USER}:{password}@127.0.0.1:{port}/{USER}"
    finally:
        process.send_signal(signal.SIGINT)  # "fast": it hangs up on its clients and writes everything
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _data(folder: Path, owner: str | None) -> str:
    """Make the data folder, where there is none yet, and return the superuser's password."""
    secret = folder / "password"
    if not (folder / "data" / "PG_VERSION").exists():
        shutil.rmtree(folder / "data", ignore_errors=True)  # of one that was killed while it was made
        secret.unlink(missing_ok=True)
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        if owner:
            shutil.chown(secret, owner)
        made = [_program("initdb"), "--pgdata", str(folder / "data"), "--username", USER, "--auth", "scram-sha-256"]
        made += ["--pwfile", str(secret), "--encoding", "UTF8", "--locale", "C"]
        subprocess.run([*_as(owner), *made], check=True, stdout=subprocess.DEVNULL, cwd=folder)
    return secret.read_text(encoding="utf-8")


def _make_database(port: int, password: str) -> None:
    ask = [_program("psql"), "--host", "127.0.0.1", "--port", str(port), "--username", USER, "--dbname", "postgres"]
    environment = {**os.environ, "PGPASSWORD": password}
    there = f"select 1 from pg_database where datname = '{USER}'"  # noqa: S608 - a constant
    found = subprocess.run([*ask, "-Atc", there], env=environment, check=True, capture_output=True, text=True)
    if not found.stdout.strip():
        subprocess.run([*ask, "-qc", f"create database {USER}"], env=environment, check=True)


def _owner(folder: Path) -> str | None:
    """Return the user to run as, None for this one; root gives it the folder, which it must be able to reach."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return None
    owner = "postgres"
    pwd.getpwnam(owner)
    os.chmod(folder, 0o700)  # noqa: PTH101 - beside chown
    shutil.chown(folder, owner, owner)
    if subprocess.run([*_as(owner), "test", "-x", str(folder)], check=False).returncode:
        sys.exit(
            f"PostgreSQL: expected a folder that its user {owner} can reach, since root may not run it; "
            f"received {folder}. Run as another user, or name another folder: make stack FOLDER=/srv/ctr-stack"
        )
    return owner


def _as(owner: str | None) -> list[str]:
    # The process itself, and not a shell around it: signals must reach it.
    return ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--init-groups", "--pdeathsig=INT"] if owner else []


def _program(name: str) -> str:
    """Return a program of the newest PostgreSQL that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    if not found:
        sys.exit(f"{name}: expected below /usr/lib/postgresql, received nothing. Run: infra/postgres.sh")
    return str(found[-1])


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        ready = [_program("pg_isready"), "--quiet", "--host", "127.0.0.1", "--port", str(port)]
        if subprocess.run(ready, check=False).returncode == 0:
            return
        time.sleep(0.2)
    sys.exit(f"PostgreSQL: expected it to answer within {START_SECONDS} s, received nothing. Its log is {log}.")
