"""Where things are: taken from the environment (CTR_RETRAIN_…) and the command line. What to train is in the recipe.

Importing this module turns off what phones home, before any library can: they read the environment when imported.
"""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import UsageError
from tasks.store import LocalStore

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)


class Settings(BaseSettings):
    """Typed, checked at construction, immutable."""

    model_config = SettingsConfigDict(env_prefix="CTR_RETRAIN_", frozen=True, extra="forbid")

    recipe: Path = Path("infra/recipes/demo.toml")
    root: str = "var/root"
    landing: str = "var/landing"
    webhook_url: SecretStr = SecretStr("")
    cron: str = Field("0 4 * * *", min_length=9)
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in available_timezones():
            msg = "a time zone such as Europe/Berlin"
            raise ValueError(msg)
        return name

    @property
    def store(self) -> LocalStore:
        """The store under the root."""
        return LocalStore(_local(self.root, "root"))

    @property
    def landing_zone(self) -> Path:
        """The landing zone's folder."""
        return _local(self.landing, "landing")

    @property
    def zone(self) -> ZoneInfo:
        """The schedule's time zone."""
        return ZoneInfo(self.timezone)


def load_settings(**given: str | Path | None) -> Settings:
    """The settings; what is given here counts before the environment. Raises UsageError naming the setting."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"CTR_RETRAIN_{'.'.join(map(str, problem['loc'])).upper()}: expected "
            f"{problem['msg'].removeprefix('Value error, ')}, received {problem['input']!r}"
            for problem in error.errors()
        ]
        msg = "settings: " + "; ".join(lines)
        raise UsageError(msg) from error


def _local(url: str, what: str) -> Path:
    """A local folder of a URL."""
    if "://" in url and not url.startswith("file://"):
        msg = f"--{what}: expected a local folder, received {url}. Only local disks are supported so far."
        raise UsageError(msg)
    return Path(url.removeprefix("file://")).absolute()
