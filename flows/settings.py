"""Where things are: taken from the environment (CTR_RETRAIN_…) and the command line. What to train is in the recipe."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import UsageError
from tasks.store import LocalStore

if TYPE_CHECKING:
    from tasks.fan_out import FanOut


class Settings(BaseSettings):
    """Typed, checked at construction, immutable."""

    model_config = SettingsConfigDict(env_prefix="CTR_RETRAIN_", frozen=True, extra="forbid")

    recipe: Path = Path("infra/recipes/demo.toml")
    root: str = "var/root"
    landing: str = "var/landing"
    webhook_url: SecretStr = SecretStr("")
    cron: str = "0 4 * * *"
    timezone: str = "UTC"
    task_runner: Literal["threads", "dask"] = "threads"
    days_at_once: int = Field(default=2, ge=1)
    dask_address: str = ""

    @field_validator("webhook_url")
    @classmethod
    def _has_a_scheme(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith(("http://", "https://")):
            msg = "an address that begins with https:// or http://, or nothing"
            raise ValueError(msg)
        return url

    @field_validator("cron")
    @classmethod
    def _has_five_fields(cls, cron: str) -> str:
        if not re.fullmatch(r"([\w*/,#-]+ ){4}[\w*/,#-]+", cron):
            msg = "a cron expression of five fields such as 0 4 * * *"
            raise ValueError(msg)
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

    @property
    def fan_out(self) -> FanOut:
        """How days run side by side."""
        from tasks.fan_out import FanOut  # noqa: PLC0415 - Prefect takes two seconds to import

        return FanOut(self.task_runner, self.days_at_once, self.dask_address)

    @property
    def store(self) -> LocalStore:
        """The store under the root."""
        return LocalStore(_local(self.root, "root"))

    @property
    def landing_zone(self) -> Path:
        """The landing zone's folder."""
        return _local(self.landing, "landing")


def load_settings(**given: str | Path | None) -> Settings:
    """The settings; what is given here counts before the environment. Raises UsageError naming the setting."""
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
    received = "one that is kept secret" if name == "webhook_url" else repr(problem["input"])
    expected = problem["msg"].removeprefix("Value error, ")
    return f"CTR_RETRAIN_{name.upper()}: expected {expected}, received {received}"


def _local(url: str, what: str) -> Path:
    """A local folder of a URL."""
    if "://" in url and not url.startswith("file://"):
        msg = f"--{what}: expected a local folder, received {url}. Only local disks are supported so far."
        raise UsageError(msg)
    return Path(url.removeprefix("file://")).expanduser().absolute()
