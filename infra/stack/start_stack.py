"""The production shape on one machine: `python -m infra.stack.start_stack`, or `make stack`.

PostgreSQL, an S3 service over HTTP, a receiver of notifications, Prefect's server and a worker. A simulated world lands
in the bucket, a deployment runs its last day, and the pages to look at are named. It stays until it is stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.models.recipe.shipped_recipes import find_recipe
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.execution.fresh_interpreter import module_command
from ctr_retrain.tasks.orchestration.own_server import own_server
from infra.stack.message_receiver import receiving
from infra.stack.own_postgres import own_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
POOL, DEPLOYMENT, BUCKET = "ctr-retrain", "daily/nightly", "ctr-retrain"
FIRST_DAY = date(2026, 3, 2)
STOP_SECONDS = 20  # then a process is killed: a worker may ignore SIGTERM
# Credentials of the service on this machine, which asks for some and checks none.
ACCESS = {
    "AWS_ACCESS_KEY_ID": "stack",
    "AWS_SECRET_ACCESS_KEY": "stack",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def main() -> None:
    """Start everything, run a day, name the pages, and stay until Ctrl-C or SIGTERM."""
    given = _arguments()
    folder: Path = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stack.json").unlink(missing_ok=True)  # of an earlier stack, at other addresses
    (folder / "messages.jsonl").touch()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way everything is taken down in order
    try:
        with ExitStack() as stack:
            addresses = _start(stack, folder, given.recipe)
            _land(folder, addresses["s3"], given.days, given.rows_per_day)
            run = _run_day(FIRST_DAY + timedelta(days=given.days - 1))
            _show(folder, addresses, run)
            if not given.once:
                _say("The stack stays until Ctrl-C.")
                threading.Event().wait()
    except KeyboardInterrupt:
        _say("Stopped.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Start the production shape on one machine and run a day through it.")
    parser.add_argument("--folder", type=Path, default=Path("var/stack"), help="databases, logs, messages")
    parser.add_argument("--recipe", type=Path, default=Path("demo"))
    parser.add_argument("--days", type=int, default=24, help="simulated days that land")
    parser.add_argument("--rows-per-day", type=int, default=25_000)
    parser.add_argument("--once", action="store_true", help="end after the day's run")
    return parser.parse_args()


def _start(stack: ExitStack, folder: Path, recipe: Path) -> dict[str, str]:
    """Start the services, each told where those before it are, and return their addresses."""
    _say("Starting an S3 service, PostgreSQL, a receiver, Prefect's server and a worker.")
    s3 = stack.enter_context(_s3_service(folder))
    messages = stack.enter_context(receiving(folder / "messages.jsonl"))
    os.environ["PREFECT_API_DATABASE_CONNECTION_URL"] = stack.enter_context(own_postgres(folder / "postgres"))
    prefect = stack.enter_context(own_server(folder / "prefect"))
    os.environ |= ACCESS | {
        "PREFECT_API_URL": prefect,
        "PREFECT_HOME": str(folder / "prefect"),
        "CTR_RETRAIN_RECIPE": str(find_recipe(recipe).absolute()),
        "CTR_RETRAIN_ROOT": f"s3://{BUCKET}/root",
        "CTR_RETRAIN_LANDING": f"s3://{BUCKET}/events",
        "CTR_RETRAIN_CACHE": str(folder / "cache"),
        "CTR_RETRAIN_SPOOL": str(folder / "spool"),
        "CTR_RETRAIN_LOG_FOLDER": str(folder / "log"),
        "CTR_RETRAIN_S3_ENDPOINT_URL": s3,
        "CTR_RETRAIN_WEBHOOK_URL": messages,
    }
    _prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
    _prefect("--no-prompt", "deploy", "--all", "--prefect-file", "infra/prefect.yaml")
    stack.enter_context(_worker(folder))
    return {"prefect": prefect.removesuffix("/api"), "s3": s3, "messages": messages}


@contextmanager
def _s3_service(folder: Path) -> Iterator[str]:
    """Run the S3 service in a process of its own, with the bucket in it."""
    command = module_command("ctr_retrain.tasks.execution.parents_end", "infra.stack.s3_service", "0")
    with _process(command, folder / "s3.log", stdout=subprocess.PIPE) as process:
        assert process.stdout
        port = process.stdout.readline().decode().strip()
        if not port:
            sys.exit(f"S3 service: expected its port, received nothing. Its log is {folder / 's3.log'}.")
        url = f"http://127.0.0.1:{port}"
        _client(url).create_bucket(Bucket=BUCKET)
        # A browser on this machine may read reports; nothing listens to other machines.
        reads = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
        _client(url).put_bucket_policy(Bucket=BUCKET, Policy=policy)
        yield url


@contextmanager
def _worker(folder: Path) -> Iterator[None]:
    """Run a worker, which starts each flow run as a process."""
    # A nightly run that waits for its data has one of the places for hours, and the watchdog needs one meanwhile. What
    # works on a root holds it, so that two runs never train side by side.
    start = ("prefect", "worker", "start", "--pool", POOL, "--name", "worker-1", "--limit", "3")
    command = module_command("ctr_retrain.tasks.execution.parents_end", *start)
    with _process(command, folder / "worker.log"):
        yield


@contextmanager
def _process(command: list[str], log: Path, stdout: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that ends with this one, whatever becomes of it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'infra' / 'package'}"},
            stdin=subprocess.PIPE,  # whose end tells it that this process has died
            stdout=stdout or output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def _prefect(*arguments: str) -> None:
    """Run Prefect's own command line; say what it said where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"prefect {' '.join(arguments)}: expected exit status 0, received:\n{done.stdout}{done.stderr}")


def _client(url: str) -> boto3.client:
    access, secret = ACCESS["AWS_ACCESS_KEY_ID"], ACCESS["AWS_SECRET_ACCESS_KEY"]
    session = boto3.session.Session(access, secret, region_name=ACCESS["AWS_DEFAULT_REGION"])
    return session.client("s3", endpoint_url=url)


def _land(folder: Path, s3: str, days: int, rows_per_day: int) -> None:
    """Simulate some weeks, and put them where a landing zone is in production: into the bucket."""
    world = folder / f"world-{days}-{rows_per_day}"
    if not (world / "landing").exists():
        _say(f"Simulating {days} days of {rows_per_day:,} impressions.")
        simulate(World(seed=7, rows_per_day=rows_per_day), FIRST_DAY, days, world)
    client = _client(s3)
    for file in sorted(path for path in (world / "landing").rglob("*") if path.is_file()):
        client.upload_file(str(file), BUCKET, f"events/{file.relative_to(world / 'landing').as_posix()}")


def _run_day(day: date) -> dict[str, str]:
    """Let the deployment run a day on the worker, wait for its end, and return what Prefect knows of it."""
    from prefect.deployments import run_deployment  # noqa: PLC0415 - reads the server's address when imported

    _say(f"The worker runs {DEPLOYMENT} for {day}.")
    begun = time.monotonic()
    run = run_deployment(DEPLOYMENT, parameters={"day": day.isoformat()}, timeout=None)
    assert not hasattr(run, "__await__")
    state = run.state.name if run.state else "unknown"
    words = (run.state.message or "") if run.state else ""
    seconds = f"{time.monotonic() - begun:.0f}"
    return {"id": str(run.id), "name": run.name, "state": state, "message": words, "day": str(day), "seconds": seconds}


def _show(folder: Path, addresses: dict[str, str], run: dict[str, str]) -> None:
    """Name the pages for whoever looks on, and write them down for programs."""
    pages = {
        "Prefect": addresses["prefect"],
        "the run": f"{addresses['prefect']}/runs/flow-run/{run['id']}",
        "deployments": f"{addresses['prefect']}/deployments",
        "work pool": f"{addresses['prefect']}/work-pools/work-pool/{POOL}",
        "all runs and reports": f"{addresses['s3']}/{BUCKET}/root/index.html",
        "messages": str(folder / "messages.jsonl"),
        "logs": str(folder),
    }
    ours = {name: value for name, value in os.environ.items() if name.startswith(("CTR_RETRAIN_", "AWS_"))}
    told = {"pages": pages, "run": run, "addresses": addresses, "environment": ours}
    (folder / "stack.json.new").write_text(json.dumps(told, indent=1), encoding="utf-8")
    (folder / "stack.json.new").replace(folder / "stack.json")  # whole, for whoever waits for it
    _say(f"{run['name']} for {run['day']}: {run['state']} after {run['seconds']} s. {run['message']}".strip())
    for name, page in pages.items():
        _say(f"  {name:<22}{page}")
    if run["state"] != "Completed":
        sys.exit(f"daily: expected the worker's run to complete, received {run['state']}. See {folder / 'worker.log'}.")


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
