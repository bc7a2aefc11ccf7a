"""Rules of `doctor`: each check says what it found or what to mend, by what is really there, and none waits long."""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from threading import Thread

import pytest

from ctr_retrain.flows.machine import machine_checks, service_checks
from ctr_retrain.flows.machine.machine_checks import check_device, check_folders, check_zones, free_memory_gib
from ctr_retrain.flows.machine.service_checks import check_clock, check_server
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.models.errors import StorageError, UsageError
from tests.support.command_line import at
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY

GIB = 2**30


@pytest.fixture
def prefect(monkeypatch):
    """A server that says of itself what a test sets: Prefect's version, and the time."""
    said = {"version": version("prefect"), "date": None, "silent": False}

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            if said["silent"]:
                time.sleep(10)
            self.send_response_only(200)
            self.send_header("Date", said["date"] or self.date_time_string())
            self.end_headers()
            self.wfile.write(json.dumps(said["version"] if "version" in self.path else True).encode())

        def log_message(self, *_):
            """Nothing is said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_address[1]}/api")
    yield said
    server.shutdown()
    server.server_close()


def test_the_versions_of_both_sides_are_told_and_must_be_of_one_series(prefect):
    here = version("prefect")
    assert f"Prefect {here} there and {here} here" in check_server()
    prefect["version"] = "2.20.1"
    with pytest.raises(StorageError, match=f"expected a server of Prefect {here}.*received '2.20.1'"):
        check_server()
    prefect["version"] = {"detail": "HTML, or something"}
    with pytest.raises(StorageError, match="expected a server of Prefect"):
        check_server()


def test_a_server_that_hangs_is_told_after_two_seconds(prefect):
    prefect["silent"] = True
    with pytest.raises(StorageError, match="no answer in time"):
        check_server()


def test_clocks_that_are_far_apart_are_told(prefect, local_store):
    assert "0 s" in check_clock(local_store) or "1 s" in check_clock(local_store)
    prefect["date"] = "Mon, 02 Mar 2026 04:00:00 GMT"
    with pytest.raises(StorageError, match=r"expected at most 60 s apart, received \d+ s before Prefect's server"):
        check_clock(local_store)


def test_the_clock_of_a_bucket_is_compared_too(s3_store, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert "the store's service" in check_clock(s3_store)


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A program in the place of nvidia-smi."""

    def install(script):
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return install


def test_gpus_are_those_that_the_driver_lists(driver):
    driver("echo 'NVIDIA A100, 81920 MiB'; echo 'NVIDIA T4, 15360 MiB'")
    assert machine_checks.list_gpus() == ["NVIDIA A100 with 81920 MiB", "NVIDIA T4 with 15360 MiB"]
    assert "NVIDIA A100 with 81920 MiB" in check_device(load_settings(device="gpu"))
    assert check_device(load_settings(device="cpu")).startswith("training will use the cpu")


@pytest.mark.parametrize("script", ["exit 9", "sleep 30", "echo No devices were found >&2; exit 6"])
def test_a_gpu_that_is_asked_for_and_does_not_answer_is_told(driver, script, monkeypatch):
    monkeypatch.setattr(machine_checks, "SMI_SECONDS", 0.2)
    driver(script)
    assert check_device(load_settings()).startswith("training will use the cpu")
    with pytest.raises(UsageError, match="CTR_RETRAIN_DEVICE: expected a GPU, since it is 'gpu'"):
        check_device(load_settings(device="gpu"))


def test_memory_is_what_the_machine_or_its_container_has_left(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 25165824 kB\nMemAvailable: 8388608 kB\n", encoding="utf-8")
    assert free_memory_gib(meminfo, tmp_path) == 8
    (tmp_path / "memory.max").write_text("max\n", encoding="utf-8")
    (tmp_path / "memory.current").write_text(f"{GIB}\n", encoding="utf-8")
    assert free_memory_gib(meminfo, tmp_path) == 8
    (tmp_path / "memory.max").write_text(f"{4 * GIB}\n", encoding="utf-8")
    assert free_memory_gib(meminfo, tmp_path) == 3


def test_a_folder_that_can_not_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CTR_RETRAIN_SPOOL", str(tmp_path / "file" / "spool"))
    with pytest.raises(StorageError, match=r"file/spool for alerts that wait \(CTR_RETRAIN_SPOOL\): Not a directory"):
        check_folders(load_settings(root=str(tmp_path / "root")))


def test_a_time_zone_that_nobody_knows_is_told(monkeypatch):
    assert "UTC" in check_zones(load_settings())
    monkeypatch.setenv("TZ", "Mars/Base")
    with pytest.raises(StorageError, match="TZ: expected a time zone such as Europe/Berlin, received 'Mars/Base'"):
        check_zones(load_settings())


def test_a_package_that_is_missing_or_too_old_is_told_with_its_remedy(monkeypatch):
    assert "prefect" in machine_checks.check_packages()
    found = dict.fromkeys(("duckdb", "keras"))
    monkeypatch.setattr(machine_checks, "_version", lambda name: {**found, "prefect": "3.7.0"}.get(name, "999"))
    with pytest.raises(StorageError) as told:
        machine_checks.check_packages()
    assert "duckdb: expected <3,>=2.0, received none" in str(told.value)
    assert "prefect: expected <3.9,>=3.8.8, received 3.7.0" in str(told.value)
    assert "pip install --require-hashes -r requirements.lock" in str(told.value)


def test_the_disk_is_held_against_what_the_window_takes(small_landing, recipe_file, tmp_path, monkeypatch):
    monkeypatch.setattr("ctr_retrain.tasks.landing.landing_zone.LocalLandingZone.landed_bytes", lambda *_: 2**50)
    answer = at(tmp_path / "root", small_landing, recipe_file)("doctor", "--json")
    failed = {check["name"]: check["words"] for check in answer.document["checks"] if not check["passed"]}
    assert failed.keys() - {"memory"} == {"disk"}
    assert "Free space, run `ctr-retrain gc`, or set another --root" in failed["disk"]


def test_a_service_that_never_answers_ends_no_check_but_its_own(recipe_file, tmp_path, monkeypatch, prefect):
    """The bucket's address and the server take connections and say nothing."""
    prefect["silent"] = True
    for name, value in (("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)):
        monkeypatch.setenv(name, value)
    address = os.environ["PREFECT_API_URL"].removesuffix("/api")
    monkeypatch.setenv("CTR_RETRAIN_S3_ENDPOINT_URL", address)
    monkeypatch.setattr("ctr_retrain.flows.settings.HURRIED", {"attempts": 1, "read_seconds": 1})
    monkeypatch.setattr(service_checks, "SERVER_SECONDS", 1)
    monkeypatch.setenv("CTR_RETRAIN_CACHE", str(tmp_path / "cache"))
    answer = at("s3://bucket/root", "s3://bucket/landing", recipe_file)("doctor", "--json")
    words = {check["name"]: check["words"] for check in answer.document["checks"]}
    failed = {check["name"] for check in answer.document["checks"] if not check["passed"]}
    assert failed - {"disk", "memory"} == {"root", "landing", "events", "prefect", "clock"}
    assert words["clock"] == "not checked before root pass"
