"""An S3 server in a process of its own, over HTTP: moto's, as its conditional writes are right."""

import os
import subprocess
import sys
import uuid

import boto3
import pytest

from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.s3_bucket import Bucket, S3Access
from ctr_retrain.tasks.store.s3_store import S3Store
from tests.support.faulty_proxy import proxy_to
from tests.support.repository import REPOSITORY

SERVICE = REPOSITORY / "infra" / "stack" / "s3_service.py"  # the one that the stack starts

ACCESS_KEY, SECRET_KEY = "AKIAFAKEFAKEFAKE1234", "fake+secret/that+must/not+leak+anywhere1"
FEW_TRIES = {"attempts": 3}
IMPATIENT = {**FEW_TRIES, "read_seconds": 1}  # for those who are never answered: others may be slow by no fault


class S3Server:
    """Started at once; `stop` kills it, and with it all that it held in memory."""

    def __init__(self, port=0, **environment):
        command = [sys.executable, str(SERVICE), str(port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **environment}, text=True
        )
        said = self._process.stdout.readline()  # its port, once it listens there
        assert said, "moto's server ended before it listened"
        self.port = int(said)
        self._session = boto3.session.Session()  # a new one reads botocore's descriptions of services anew
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def client(self, service="s3", **credentials):
        given = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, **credentials}
        return self._session.client(service, endpoint_url=self.url, region_name="us-east-1", **given)

    def new_bucket(self):
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name


@pytest.fixture(scope="session")
def s3_server():
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3_environment(monkeypatch, tmp_path):
    """Credentials where boto3 looks for them, and nothing of this machine's own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bucket_name(s3_server, s3_environment):
    return s3_server.new_bucket()


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", limit_gb=1)


@pytest.fixture
def bucket(s3_server, bucket_name):
    return Bucket(bucket_name, "root", S3Access(s3_server.url))


@pytest.fixture
def s3_store(bucket, cache):
    return S3Store(bucket, cache)


@pytest.fixture
def proxy(s3_server):
    with proxy_to(s3_server.port) as proxy:
        yield proxy


@pytest.fixture
def behind_proxy(proxy, bucket_name, cache):
    """The same store, reached by the faulty way and with few tries."""
    return S3Store(Bucket(bucket_name, "root", S3Access(proxy.url, **FEW_TRIES)), cache)
