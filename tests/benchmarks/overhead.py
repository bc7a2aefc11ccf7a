"""What a command costs beside its work: the start of Python, imports, whatever is started or asked for.

`make bench-overhead`, or `python -m tests.benchmarks.overhead --json FILE`. Eight simulated days of 4,000 impressions
and one finished run, on a disk and in a bucket of moto's server.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from tests.benchmarks.table import print_table, write_rows
from tests.support.small_world import DAYS, FIRST_DAY, RUN_DAY, write_recipe

COMMANDS = {
    "daily, its verdict recorded": ("daily", "--date", str(RUN_DAY)),
    "backfill, its dates refused": ("backfill", "--start", "2026-03-02", "--end", "2026-03-01"),
    "backfill, all finished": ("backfill", "--start", str(RUN_DAY), "--end", str(RUN_DAY)),
    "an argument refused": ("daily", "--date", "yesterday"),
    "status": ("status",),
    "gc --dry-run": ("gc", "--dry-run"),
    "--version": ("--version",),
}
# In one process twice: the second time everything is imported, and what it takes is the work alone.
PROGRAM = """
import json, sys, time
from botocore.httpsession import URLLib3Session
sent, send = [], URLLib3Session.send
URLLib3Session.send = lambda self, request: sent.append(request) or send(self, request)
from ctr_retrain.flows.cli import main
def run():
    sent.clear()
    began = time.perf_counter()
    try:
        main(sys.argv[2:])
    except SystemExit:
        return time.perf_counter() - began
run()
open(sys.argv[1], "w").write(json.dumps([run(), len(sent)]))
"""
BUCKET = "overhead"


def main() -> None:
    """Print a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes of each command; medians are shown")
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured_in(Path(folder), arguments.repeats)
    print_table("What a command costs beside its work", found)
    if arguments.json:
        write_rows(arguments.json, found)


def measured_in(folder: Path, repeats: int) -> list[dict[str, object]]:
    """Make a run on a disk and one in a bucket, then measure each command on both."""
    simulate(World(seed=3, rows_per_day=4000, ad_ctr=0.06, push_ctr=0.05), FIRST_DAY, DAYS, folder)
    recipe = write_recipe(folder, min_positives=1_000_000)  # a verdict without training, to keep this short
    places = ["--recipe", str(recipe), "--landing", str(folder / "landing")]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    secret = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {**secret, "CTR_RETRAIN_S3_ENDPOINT_URL": address, "CTR_RETRAIN_CACHE": str(folder / "cache")}
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket=BUCKET)
    on_disk, in_bucket = ([*places, "--root", root] for root in (str(folder / "root"), f"s3://{BUCKET}/root"))
    try:
        for options in (on_disk, in_bucket):
            timed([sys.executable, "-m", "ctr_retrain.flows.cli", *options, "daily", "--date", str(RUN_DAY)])
        return [row_of(name, typed, on_disk, in_bucket, repeats, folder) for name, typed in COMMANDS.items()]
    finally:
        server.stop()


def row_of(
    name: str, typed: tuple[str, ...], on_disk: list[str], in_bucket: list[str], repeats: int, folder: Path
) -> dict[str, object]:
    """The work's seconds in a warm process, what a fresh process takes longer, and the requests to a bucket."""
    taken = [timed([sys.executable, "-m", "ctr_retrain.flows.cli", *on_disk, *typed]) for _ in range(repeats)]
    wall, processor = (statistics.median(seconds) for seconds in zip(*taken, strict=True))
    work, _ = warm([*on_disk, *typed], folder / "warm.json")
    _, requests = warm([*in_bucket, *typed], folder / "warm.json")
    return {
        "command": name,
        "stage_seconds": round(work, 2),
        "overhead_seconds": round(wall - work, 2),
        "requests": requests,
        "processor_seconds": round(processor, 2),
    }


def warm(arguments: list[str], answer: Path) -> tuple[float, int]:
    """Seconds and requests of a command's second run in one process."""
    timed([sys.executable, "-c", PROGRAM, str(answer), *arguments])
    seconds, requests = json.loads(answer.read_text(encoding="utf-8"))
    return seconds, requests


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds that a process took, by the clock and of the processor, its children's among them."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return ended - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
