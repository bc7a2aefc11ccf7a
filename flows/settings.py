"""Settings: the places of things, from the environment (CTR_RETRAIN_…) and the command line; a recipe says the rest."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.mistakes import expected_of
from ctr_retrain.tasks.alerts.delivery import Delivery
from ctr_retrain.tasks.alerts.receivers import WEBHOOK, Receiver, parse_targets, prefect_server
from ctr_retrain.tasks.execution.model_process import Compute
from ctr_retrain.tasks.execution.shown_logs import DEFAULT_FOLDER
from ctr_retrain.tasks.landing.landing_zone import LandingZone, LocalLandingZone, S3LandingZone
from ctr_retrain.tasks.machines.host_process import SSH
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.schedule.next_run import CRON_EXPECTED, CatchUp, Schedule
from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.protocol import Store

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.store.s3_bucket import Bucket

_PORT_OF_HOST = r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}"
HURRIED = MappingProxyType({"attempts": 2, "connect_seconds": 1, "read_seconds": 3})  # of a look at S3


class Settings(BaseSettings):
    """The places of things on this machine and how it runs; typed, checked at construction, immutable."""

    model_config = SettingsConfigDict(env_prefix="CTR_RETRAIN_", frozen=True, extra="forbid")

    recipe: Path = Path("demo")  # a path, or the name of a shipped recipe
    root: str = "var/root"  # where objects and refs are kept: a folder or s3://BUCKET/PREFIX
    landing: str = "var/landing"  # where raw events land: a folder or s3://BUCKET/PREFIX
    cache: Path = Path("var/cache")  # local cache of what lies in a bucket
    cache_gb: float = Field(50, gt=0)  # its largest size, in gigabytes
    s3_endpoint_url: str = ""  # of another service than AWS
    webhook_url: SecretStr = SecretStr("")  # gets alerts as JSON; the address often holds credentials
    alert_targets: SecretStr = SecretStr("")  # LEVEL=ADDRESS of each further receiver of alerts; likewise
    heartbeat_url: SecretStr = SecretStr("")  # asked for at each good end of a night; who misses it tells; likewise
    runbook: str = "docs/runbook.md"  # address of the runbook, to which messages link
    metrics_folder: Path | None = None  # of node_exporter's textfile collector; None: no metrics are written
    metrics_listen: str = ""  # HOST:PORT at which `serve` answers with metrics; empty: nowhere
    log_folder: Path = Path(DEFAULT_FOLDER)  # of this machine's log files: stories of nights, tracebacks
    spool: Path = Path("var/spool")  # where alerts wait on this machine while the root can't be written
    wait_minutes: float = Field(720, gt=0)  # how long `--wait` and scheduled runs wait for another run to be done
    cron: str = "0 4 * * *"  # when `serve` runs
    timezone: str = "UTC"  # of the cron schedule; event days are UTC whatever it is
    catch_up: CatchUp = "latest"  # the days that a scheduled run makes up for after a downtime
    server_port: int = Field(4200, ge=1, le=65535)  # of the Prefect server that `serve` starts
    prefect_server: Literal["required", "optional"] = "required"  # of one that is named: may a run go on without it
    task_runner: Literal["threads", "dask"] = "threads"  # runs days side by side
    days_at_once: int = Field(default=2, ge=1)  # which share this machine's cores and memory
    dask_address: str = ""  # of a scheduler; empty: processes of this machine
    device: Literal["auto", "cpu", "gpu"] = "auto"  # that models are trained on
    training_process: Literal["own", "flow"] = "own"  # in which TensorFlow lives: one of its own, or the flow's
    workers: str = ""  # HOST:PORT of each machine that trains a model, this one first; empty: this one alone
    worker_command: str = SSH  # runs a command, its last argument, on another of them; {host} stands for its name

    @field_validator("webhook_url", "heartbeat_url")
    @classmethod
    def _has_a_scheme(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith(("http://", "https://")):
            msg = "an address that begins with https:// or http://, or nothing"
            raise ValueError(msg)
        return url

    @field_validator("alert_targets")
    @classmethod
    def _names_receivers(cls, targets: SecretStr) -> SecretStr:
        parse_targets(targets.get_secret_value())
        return targets

    @field_validator("cron")
    @classmethod
    def _has_five_fields(cls, cron: str) -> str:
        # Whether there are such minutes and months Prefect says, where a schedule is asked for: see `next_run`.
        if not re.fullmatch(r"([\w*/,#-]+ ){4}[\w*/,#-]+", cron):
            raise ValueError(CRON_EXPECTED)
        return cron

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            msg = "a time zone such as Europe/Berlin"
            raise ValueError(msg) from error
        return name

    @field_validator("dask_address")
    @classmethod
    def _names_a_port(cls, address: str) -> str:
        if address and not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d+", address):
            msg = "a scheduler's address such as tcp://scheduler.example:8786, or nothing"
            raise ValueError(msg)
        return address

    @field_validator("workers")
    @classmethod
    def _names_machines(cls, workers: str) -> str:
        machines = workers.split()
        wrong = [one for one in machines if not re.fullmatch(_PORT_OF_HOST, one)]
        if wrong or len(set(machines)) < len(machines) or len(machines) == 1:
            msg = "HOST:PORT of two or more machines, each once and this one first, separated by spaces, or nothing"
            raise ValueError(msg)
        return workers

    @field_validator("worker_command")
    @classmethod
    def _can_be_split(cls, command: str) -> str:
        try:
            parts = shlex.split(command)
        except ValueError:
            parts = []
        if not parts:
            msg = f"a command such as {SSH!r}"
            raise ValueError(msg)
        return command

    @field_validator("metrics_listen")
    @classmethod
    def _is_a_port(cls, listen: str) -> str:
        if listen and not re.fullmatch(_PORT_OF_HOST, listen):
            msg = "an address to listen at such as 127.0.0.1:9108, or nothing"
            raise ValueError(msg)
        return listen

    @property
    def fan_out(self) -> FanOut:
        """Return the way in which days run side by side."""
        return FanOut(self.task_runner, self.days_at_once, self.dask_address)

    @property
    def compute(self) -> Compute:
        """Return the device, the process and the machines to train on, and the folder of checkpoints."""
        checkpoints = self.local_folder / "checkpoints"
        return Compute(
            self.device, self.training_process, checkpoints, tuple(self.workers.split()), self.worker_command
        )

    @field_validator("root", "landing")
    @classmethod
    def _is_a_place(cls, url: str) -> str:
        if "://" not in url or url.startswith("file://"):
            return url
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w!.*'()=+,:-]+)*/?", url):
            msg = "a local folder or s3://BUCKET/PREFIX, without user, password or query"
            raise ValueError(msg)
        return url

    @field_validator("root", "cache")
    @classmethod
    def _has_no_backslash(cls, place: str | Path) -> str | Path:
        if "\\" in str(place):
            msg = "a path without a backslash, which DuckDB takes for a separator"
            raise ValueError(msg)
        return place

    @field_validator("s3_endpoint_url")
    @classmethod
    def _is_an_endpoint(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[\w.-]+(:\d+)?/?", url):
            msg = "an address such as https://s3.example.com, without user, password, path or query, or nothing"
            raise ValueError(msg)
        return url

    @cached_property
    def store(self) -> Store:
        """Return the store under the root."""
        bucket = self._bucket(self.root)
        return self._s3_store(bucket) if bucket else LocalStore(_local(self.root))

    @cached_property
    def landing_zone(self) -> LandingZone:
        """Return the landing zone of raw events."""
        bucket = self._bucket(self.landing)
        return S3LandingZone(bucket, self._cache) if bucket else LocalLandingZone(_local(self.landing))

    def hurried(self) -> tuple[Store, LandingZone]:
        """Return store and landing zone for whoever only looks: a service that doesn't answer is soon told."""
        return self._in_buckets(*(self._bucket(url, HURRIED) for url in (self.root, self.landing)))

    def asked_once(self) -> tuple[Store, LandingZone]:
        """Return store and landing zone for one look at many days: what changes while it lasts doesn't show in it."""
        if not any(url.startswith("s3://") for url in (self.root, self.landing)):
            return self.store, self.landing_zone
        from ctr_retrain.tasks.backfill.asked_once import ListedAhead, ReadOnce  # noqa: PLC0415 - boto3, likewise

        return self._in_buckets(self._bucket(self.root, kind=ReadOnce), self._bucket(self.landing, kind=ListedAhead))

    @property
    def receivers(self) -> tuple[Receiver, ...]:
        """Return all who get alerts, the webhook first."""
        webhook = Receiver("warning", self.webhook_url, WEBHOOK, own_form=True)
        named = (webhook,) if self.webhook_url.get_secret_value() else ()
        return (*named, *parse_targets(self.alert_targets.get_secret_value()))

    def delivery(self, recipe: Recipe, *, events: bool = False) -> Delivery:
        """Return the rules and the receivers of a run's messages; one for a whole run, which waits so long in all.

        events: Prefect's server is a receiver too, where there is one that stays.
        """
        receivers = (*self.receivers, *(prefect_server() if events else ()))
        return Delivery(recipe.name, recipe.alerts, receivers, self.spool_folder, self.runbook)

    @property
    def schedule(self) -> Schedule:
        """Return the schedule of nights, and what is made up for where they could not happen."""
        return Schedule(self.cron, self.timezone, self.catch_up)

    @property
    def spool_folder(self) -> Path:
        """Return the spool's whole path, which holds in whatever folder a process runs."""
        return self.spool.expanduser().absolute()

    @property
    def local_folder(self) -> Path:
        """Return the folder that fills up on this machine: the root, or the cache of one that lies in a bucket."""
        return self.cache_folder if self.root.startswith("s3://") else _local(self.root)

    @property
    def cache_folder(self) -> Path:
        """Return the cache's whole path, which holds in whatever folder a process runs."""
        return self.cache.expanduser().absolute()

    @cached_property
    def _cache(self) -> Cache:
        return Cache(self.cache_folder, self.cache_gb)

    def _bucket(
        self, url: str, limits: Mapping[str, int] = MappingProxyType({}), kind: type[Bucket] | None = None
    ) -> Bucket | None:
        """Return the bucket and prefix of an s3:// URL, None for a local folder; limits: of an S3Access."""
        if not url.startswith("s3://"):
            return None
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        from ctr_retrain.tasks.store.s3_bucket import Bucket, S3Access  # noqa: PLC0415 - boto3, which takes half a second

        return (kind or Bucket)(bucket, prefix, S3Access(self.s3_endpoint_url, **limits))

    def _in_buckets(self, root: Bucket | None, landing: Bucket | None) -> tuple[Store, LandingZone]:
        """Return store and landing zone in these buckets; those of the settings where one is a local folder."""
        return (
            self._s3_store(root) if root else self.store,
            S3LandingZone(landing, self._cache) if landing else self.landing_zone,
        )

    def _s3_store(self, bucket: Bucket) -> Store:
        """Return the store in a bucket."""
        from ctr_retrain.tasks.store.s3_store import S3Store  # noqa: PLC0415 - likewise

        return S3Store(bucket, self._cache)


def load_settings(**given: str | Path | None) -> Settings:
    """Load the settings; what is given here counts before the environment. Raises UsageError naming the setting."""
    prefix = "CTR_RETRAIN_"
    known = {prefix + name.upper() for name in Settings.model_fields}
    if unknown := sorted(name for name in os.environ if name.startswith(prefix) and name not in known):
        msg = f"settings: {unknown[0]}: expected one of {', '.join(sorted(known))}. Check its spelling or unset it."
        raise UsageError(msg)
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        msg = "settings: " + "; ".join(_explain(problem) for problem in error.errors())
        raise UsageError(msg) from None  # the cause would show the webhook's secret


def _explain(problem: ErrorDetails) -> str:
    name = ".".join(map(str, problem["loc"]))
    secret = name in ("webhook_url", "heartbeat_url", "alert_targets") or set("@?#") & set(
        str(problem["input"])
    )  # credentials may stand in an address
    received = "one that is kept secret" if secret else repr(problem["input"])
    expected = expected_of(problem)
    return f"CTR_RETRAIN_{name.upper()}: expected {expected}, received {received}"


def _local(url: str) -> Path:
    """Return the path of a local folder, which may be written as a file:// URL."""
    return Path(url.removeprefix("file://")).expanduser().absolute()
