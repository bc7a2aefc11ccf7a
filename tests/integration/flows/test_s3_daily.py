"""A whole day with root and landing zone on S3, as its user runs it; and what must never be seen of credentials."""

import json
import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store.s3_bucket import Bucket, S3Access
from tests.support import command_line
from tests.support.repository import REPOSITORY
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, S3Server
from tests.support.small_world import NEXT_DAY, RUN_DAY, clean_environment, command

LOUD = {f"PREFECT_LOGGING_{name}": "DEBUG" for name in ("LEVEL", "ROOT_LEVEL", "HANDLERS_CONSOLE_LEVEL")}
COMMANDS_IN_TURN = """
import json, os, sys
from ctr_retrain.flows.cli import main
statuses = []
for arguments, environment in json.loads(sys.argv[1]):
    os.environ |= environment
    try:
        main(arguments)
    except SystemExit as left:
        statuses.append(left.code)
print(json.dumps(statuses))
"""


@pytest.fixture(scope="module")
def cloud(great_expectations, small_landing, recipe_file, tmp_path_factory):
    """A day run on S3 by a process with all logs on; `run` is the command line on a machine with its own cache."""
    server, folder = S3Server(), tmp_path_factory.mktemp("cloud")
    name = server.new_bucket()
    client = server.client()
    for file in (path for path in small_landing.rglob("*") if path.is_file()):
        client.upload_file(str(file), name, f"events/{file.relative_to(small_landing).as_posix()}")
    environment = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CTR_RETRAIN_S3_ENDPOINT_URL": server.url,
    }
    root, landing = f"s3://{name}/ctr", f"s3://{name}/events"
    there = ("--recipe", recipe_file, "--root", root, "--landing", landing)

    def run(*arguments, cache):
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in {**environment, "CTR_RETRAIN_CACHE": str(folder / cache)}.items():
                patch.setenv(variable, value)
            return command_line.run(*there, *arguments)

    loud = {**environment, **LOUD, "CTR_RETRAIN_CACHE": str(folder / "cache")}
    first = command(*there, "daily", "--date", RUN_DAY, "--json", **loud)
    yield SimpleNamespace(
        run=run, loud=loud, there=there, first=first, root=root, bucket=name, server=server, folder=folder
    )
    server.stop()


def stored(cloud):
    pages = cloud.server.client().get_paginator("list_objects_v2").paginate(Bucket=cloud.bucket, Prefix="ctr/")
    return {entry["Key"] for page in pages for entry in page["Contents"]}


def test_day_is_run_from_a_bucket_into_a_bucket(cloud):
    assert cloud.first.status == 0, cloud.first.stderr
    document = cloud.first.document
    assert document["verdict"]["decision"] == "promote"
    assert document["champion"] == document["run_id"]
    assert document["report"].startswith(f"{cloud.root}/runs/{document['run_id']}.by-")
    names = stored(cloud)
    assert document["report"].removeprefix(f"s3://{cloud.bucket}/") in names
    assert {"ctr/index.html", f"ctr/models/{document['run_id']}/manifest.json", "ctr/refs/champion.json"} <= names
    assert not [name for name in names if name.startswith("ctr/writing/")]


def test_pages_link_to_pages_that_are_there_and_a_browser_shows_them(cloud):
    client, name = cloud.server.client(), cloud.first.document["report"].removeprefix(f"{cloud.root}/")
    page = client.get_object(Bucket=cloud.bucket, Key="ctr/index.html")
    assert page["ContentType"] == "text/html"
    assert f'href="{name}"' in page["Body"].read().decode()
    report = client.get_object(Bucket=cloud.bucket, Key=f"ctr/{name}")["Body"].read().decode()
    docs = report.split('href="../../validations/', 1)[1].split('"', 1)[0]
    assert f"ctr/validations/{docs}" in stored(cloud)


def test_other_machine_sees_the_same_and_fetches_only_what_it_reads(cloud):
    answer = cloud.run("status", "--json", cache="other")
    assert answer.status == 0, answer.stderr
    assert answer.document["champion"] == cloud.first.document["run_id"]

    def fetched():
        return sum(path.stat().st_size for path in (cloud.folder / "other" / "blobs").rglob("*") if path.is_file())

    assert fetched() == 0  # the index tells enough
    assert cloud.run("explain", RUN_DAY, cache="other").status == 0
    assert 0 < fetched() < 100_000  # run.json, not the models


def test_next_day_meets_the_champion_from_a_machine_with_an_empty_cache(cloud):
    answer = cloud.run("daily", "--date", NEXT_DAY, "--json", cache="third")
    assert answer.status == 0, answer.stderr
    assert answer.document["metrics"]["champion"] is not None


def test_credentials_are_seen_nowhere(cloud):
    """Root, landing zone, cache, logs at their loudest, and errors of every kind."""
    failing = [
        (("--root", "s3://no-such-bucket-at-all", "ingest", "--date", RUN_DAY), {}),
        (("--root", f"s3://{ACCESS_KEY}:{SECRET_KEY}@bucket/prefix", "status"), {}),
        (("status",), {"CTR_RETRAIN_S3_ENDPOINT_URL": f"http://{ACCESS_KEY}:{SECRET_KEY}@127.0.0.1:9"}),
    ]
    commands = [([str(one) for one in (*cloud.there, *arguments)], more) for arguments, more in failing]
    failed = subprocess.run(
        [sys.executable, "-c", COMMANDS_IN_TURN, json.dumps(commands)],
        cwd=REPOSITORY,
        env={**clean_environment(), **cloud.loud},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(failed.stdout.splitlines()[-1])) <= {2, 4}
    said = [cloud.first.stdout, cloud.first.stderr, failed.stdout, failed.stderr]
    client = cloud.server.client()
    stored_bytes = [client.get_object(Bucket=cloud.bucket, Key=key)["Body"].read() for key in stored(cloud)]
    cached = [path.read_bytes() for path in cloud.folder.rglob("*") if path.is_file()]
    assert len(stored_bytes) > 20
    assert len(cached) > 20
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert not [text for text in said if secret in text]
        assert not [content for content in [*stored_bytes, *cached] if secret.encode() in content]


def test_client_says_nothing_of_credentials_also_where_all_logs_are_on(s3_server, bucket_name, caplog):
    caplog.set_level(logging.DEBUG)
    bucket = Bucket(bucket_name, "root", S3Access(s3_server.url))
    bucket.write("key", b"abc")
    assert bucket.read("key") is not None
    with pytest.raises(StorageError):
        Bucket("no-such-bucket-at-all", "root", S3Access(s3_server.url)).read("key")
    logging.getLogger("any other").debug("logs are on")
    assert "logs are on" in caplog.text
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert secret not in caplog.text
