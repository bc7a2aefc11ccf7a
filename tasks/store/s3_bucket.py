"""A place in a bucket, through boto3: bytes in and out under keys, with conditions, retries and errors of our own.

Credentials come from boto3's own chain (environment, profile, the machine's role) and are nowhere in here; no error
repeats what the service said, only its code. The client is made when it is first needed, so a bucket pickles.
"""

from __future__ import annotations

import logging
import mimetypes
import os
import random
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from ctr_retrain.models.documents.document import MAX_DOCUMENT_BYTES
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.store.s3_errors import explain, other_size

PART_BYTES = 16 * 2**20  # of a multipart upload, and of a download in ranges
AT_ONCE = 8  # files, or ranges of one file, at the same time
CHUNK_BYTES = 2**20  # that are read from the network before they go to the file
LONGEST_PAUSE_SECONDS = 20.0
HURRIED_SECONDS = 15  # for an answer of a service that has given none to a request and all its retries
DELETED_AT_ONCE = 1000  # S3's own limit
CHATTY = ("boto3", "botocore", "s3transfer", "urllib3")  # at DEBUG they log headers, the access key's id among them


@dataclass(frozen=True)
class S3Access:
    """The way to the service."""

    endpoint_url: str = ""  # empty: boto3 finds it (AWS, or AWS_ENDPOINT_URL)
    attempts: int = 5  # at a request, the first one included
    connect_seconds: float = 10
    read_seconds: float = 60


@dataclass(frozen=True)
class ListedKey:
    """A key as a listing shows it."""

    name: str  # without the bucket's prefix
    size: int  # bytes
    etag: str
    modified: datetime


@dataclass(frozen=True)
class Download:
    """The headers of a body that the service sent."""

    etag: str
    encryption: str  # empty where there is none

    @property
    def etag_is_md5(self) -> bool:
        """Return True if the ETag is the bytes' MD5: not after a multipart upload, nor under the user's own keys."""
        return bool(re.fullmatch(r'"[0-9a-f]{32}"', self.etag)) and self.encryption in ("", "AES256")


class Bucket:
    """Keys below one prefix of a bucket; names are keys without that prefix."""

    def __init__(self, bucket: str, prefix: str = "", access: S3Access | None = None) -> None:
        """Take the bucket's name and the keys' prefix; nothing is asked of the service yet."""
        self._bucket, self._prefix, self._patient = bucket, prefix.strip("/"), access or S3Access()
        self._access = self._patient  # or in a hurry, while the service is silent
        self._clients: dict[tuple[int, S3Access], Any] = {}  # by process and limits

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the bucket without its clients, which are made anew where the bucket arrives."""
        return Bucket, (self._bucket, self._prefix, self._patient)

    @property
    def url(self) -> str:
        """Return the place as people write it: s3://bucket/prefix."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Read a key's bytes and ETag; None where there is no such key."""
        attempts = self._access.attempts
        for attempt in range(attempts):
            with self._translating_errors("read", name):
                client = self._client  # whose errors are its own
                try:
                    response = client.get_object(Bucket=self._bucket, Key=self._key(name))
                except client.exceptions.NoSuchKey:
                    return None
                if (size := response["ContentLength"]) > MAX_DOCUMENT_BYTES:
                    raise other_size(self.url, name, f"at most {MAX_DOCUMENT_BYTES:,}", size)
                try:
                    return response["Body"].read(), response["ETag"]
                except BotoCoreError as error:
                    _pause_before_retrying(attempt, attempts, error)
        raise AssertionError  # the last attempt returned or raised

    def write(self, name: str, content: bytes, **condition: str) -> str:
        """Put bytes under a key and return their ETag.

        condition: IfNoneMatch="*" or IfMatch=ETag. Raises ConflictError where it isn't met, which may also mean that
        an earlier attempt of this very write succeeded and its response was lost: read back.
        """
        with self._translating_errors("write", name):
            response = self._client.put_object(
                Bucket=self._bucket, Key=self._key(name), Body=content, **_content_type(name), **condition
            )
        etag: str = response["ETag"]
        return etag

    def upload(self, files: Iterable[tuple[str, Path]]) -> None:
        """Put local files under keys, several at once; large ones in parts. Each body carries its checksum."""
        config = TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=AT_ONCE // 2
        )
        _ = self._client  # made here, not by several threads at once

        def put(name: str, path: Path) -> None:
            with self._translating_errors("write", name):
                self._client.upload_file(
                    str(path), self._bucket, self._key(name), ExtraArgs=_content_type(name), Config=config
                )

        with ThreadPool(AT_ONCE) as pool:
            for job in [pool.submit(put, name, path) for name, path in files]:
                job.result()

    def download(self, name: str, target: Path, size: int, **condition: str) -> Download:
        """Fetch a key of known size into a file, large ones in ranges at once.

        Raises StorageError also where the key holds less, or has gone.
        """
        starts = range(0, max(size, 1), PART_BYTES)
        if len(starts) > 1:  # a size that is made up must not lead to millions of requests
            with self._translating_errors("read", name):
                stored = self._client.head_object(Bucket=self._bucket, Key=self._key(name), **condition)
            if stored["ContentLength"] != size:
                raise other_size(self.url, name, f"{size:,}", stored["ContentLength"])
        with target.open("wb") as file:
            fetch = partial(self._download_range, name, file.fileno(), size, condition)
            if len(starts) == 1:
                return fetch(0)
            with ThreadPool(AT_ONCE) as pool:
                return next(iter(list(pool.map(fetch, starts))))

    def keys(self, folder: str, after: str = "") -> Iterator[ListedKey]:
        """List all keys that begin with `folder`, however many; from behind the key `after` on, if one is given."""
        for page in self._pages(folder, **self._start(after)):
            for entry in page.get("Contents", ()):
                name = entry["Key"].removeprefix(self._key(""))
                yield ListedKey(name, entry["Size"], entry["ETag"], entry["LastModified"])

    def folders(self, folder: str, after: str = "") -> Iterator[str]:
        """List the folders right below `folder`, which ends in a slash, by their names; from behind `after` on."""
        for page in self._pages(folder, Delimiter="/", **self._start(after)):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"].removeprefix(self._key(folder)).rstrip("/")

    def delete(self, names: Iterable[str]) -> None:
        """Remove keys; those that are not there are no error."""
        keys = [{"Key": self._key(name)} for name in names]
        for start in range(0, len(keys), DELETED_AT_ONCE):
            with self._translating_errors("delete", keys[start]["Key"]):
                batch = {"Objects": keys[start : start + DELETED_AT_ONCE], "Quiet": True}
                response = self._client.delete_objects(Bucket=self._bucket, Delete=batch)
                if failed := response.get("Errors"):  # it may refuse some keys and still count as a success
                    raise ClientError({"Error": {"Code": failed[0].get("Code", "")}}, "DeleteObjects")

    def abort_uploads(self, folder: str) -> None:
        """Abort multipart uploads below `folder` that were begun and not ended: their parts cost money."""
        with self._translating_errors("abort uploads to", folder):
            found = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._key(folder)
            )
            for upload in [upload for page in found for upload in page.get("Uploads", ())]:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def now(self) -> datetime:
        """Return the service's own time, by which it dates keys."""
        with self._translating_errors("reach", ""):
            response = self._client.head_bucket(Bucket=self._bucket)
        return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])

    def age(self, name: str) -> timedelta | None:
        """Return how long ago a key was written, by the service's clock; None where there is no such key."""
        with self._translating_errors("read", name):
            try:
                response = self._client.head_object(Bucket=self._bucket, Key=self._key(name))
            except self._client.exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") == "404":
                    return None
                raise
        modified: datetime = response["LastModified"]
        return max(timedelta(0), parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"]) - modified)

    def _key(self, name: str) -> str:
        """Return the key of a name, with the prefix."""
        return f"{self._prefix}/{name}" if self._prefix else name

    def _start(self, after: str) -> dict[str, str]:
        """Return the option by which the service begins a listing behind a key, without the pages before it."""
        return {"StartAfter": self._key(after)} if after else {}

    def _pages(self, folder: str, **more: str) -> Iterator[dict[str, Any]]:
        """List keys page by page: a response holds 1,000 of them at most."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._translating_errors("list", folder):
            yield from pages.paginate(Bucket=self._bucket, Prefix=self._key(folder), **more)

    def _download_range(self, name: str, descriptor: int, size: int, condition: dict[str, str], start: int) -> Download:
        """Write one range of a key into an open file, at the same offset; begun anew where its stream breaks off."""
        end = min(start + PART_BYTES, size)
        header: dict[str, str] = {} if (start, end) == (0, size) else {"Range": f"bytes={start}-{end - 1}"}
        attempts = self._access.attempts
        for attempt in range(attempts):
            with self._translating_errors("read", name):
                response = self._client.get_object(Bucket=self._bucket, Key=self._key(name), **header, **condition)
                if response["ContentLength"] != end - start:  # before a body without end is written to the disk
                    raise other_size(self.url, name, f"{end - start:,}", response["ContentLength"])
                try:
                    at = start
                    for chunk in response["Body"].iter_chunks(CHUNK_BYTES):
                        at += os.pwrite(descriptor, chunk, at)
                    if at != end:
                        raise ResponseStreamingError(error=f"{at - start} bytes of {end - start}")
                except BotoCoreError as error:
                    _pause_before_retrying(attempt, attempts, error)
                else:
                    encryption = (response.get(key, "") for key in ("ServerSideEncryption", "SSECustomerAlgorithm"))
                    return Download(response["ETag"], "".join(encryption))
        raise AssertionError  # the last attempt returned or raised

    @contextmanager
    def _translating_errors(self, action: str, name: str) -> Iterator[None]:
        """Turn errors of boto3 into this software's; `from None`, since theirs may repeat what was sent."""
        try:
            yield
        except (S3UploadFailedError, BotoCoreError, ClientError) as error:
            cause = (error.__context__ or error) if isinstance(error, S3UploadFailedError) else error
            told = explain(cause, f"{action} {self.url}/{name}", self._endpoint, self._bucket)
            silent = isinstance(cause, ConnectTimeoutError | ReadTimeoutError)
            self._access = _in_a_hurry(self._patient) if silent else self._patient
            raise told from None
        self._access = self._patient

    @property
    def _endpoint(self) -> str:
        """Return host and port, without the user and password that a URL may hold before them."""
        if not self._clients:
            return "S3"
        client = next(iter(self._clients.values()))
        return str(client.meta.endpoint_url).split("://")[-1].split("@")[-1].split("/")[0]

    @property
    def _client(self) -> Any:
        """Return the process's client by the limits in force; a fork makes its own, as connections can't be shared."""
        access = self._access  # which another thread may change
        key = os.getpid(), access
        if key not in self._clients:
            self._clients[key] = self._new_client(access)
        return self._clients[key]

    def _new_client(self, access: S3Access) -> Any:
        """Make a client that retries as botocore's standard mode does and checks every body's checksum."""
        for name in CHATTY:
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.WARNING))
        config = Config(
            retries={"mode": "standard", "total_max_attempts": access.attempts},
            connect_timeout=access.connect_seconds,
            read_timeout=access.read_seconds,
            max_pool_connections=AT_ONCE**2,
            request_checksum_calculation="when_supported",
            response_checksum_validation="when_supported",
        )
        try:
            session = botocore.session.Session()
            session.register_component("data_loader", _service_models())
            of_session = boto3.session.Session(botocore_session=session)
            return of_session.client("s3", endpoint_url=access.endpoint_url or None, config=config)
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise explain(error, f"reach {self.url}", "S3", self._bucket) from None


def _in_a_hurry(access: S3Access) -> S3Access:
    """Return the way to a service that is silent: what ends a run asks a dozen times more, and would wait each time."""
    return replace(
        access,
        attempts=1,
        connect_seconds=min(access.connect_seconds, HURRIED_SECONDS),
        read_seconds=min(access.read_seconds, HURRIED_SECONDS),
    )


def _pause_before_retrying(attempt: int, attempts: int, error: BotoCoreError) -> None:
    """Wait before another attempt at a body that broke off, which botocore doesn't retry; raise on the last."""
    if attempt + 1 >= attempts:
        raise error
    time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.1 * 2**attempt)))  # noqa: S311 - jitter


@cache
def _service_models() -> Any:
    """Return what reads botocore's descriptions of services: once a process, as they take a fifth of a second."""
    return botocore.session.Session().get_component("data_loader")


def _content_type(name: str) -> dict[str, str]:
    """Guess the content type, without which a browser would save a page instead of showing it."""
    guessed, _ = mimetypes.guess_type(name)
    return {"ContentType": guessed} if guessed else {}
