"""The Prefect server that runs are recorded on: is one named, and does it answer. No run needs one."""

from __future__ import annotations

import logging
import os
import threading
import tomllib
from pathlib import Path

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution.web_request import failure_of, public_address

log = logging.getLogger(__name__)

ADDRESS = "PREFECT_API_URL"
ANSWER_SECONDS = 10  # for all that is asked of the server before a run begins


def named_server() -> str | None:
    """Return the address of the server that the environment or a file of Prefect's names; None where none does."""
    if ADDRESS in os.environ:
        return os.environ[ADDRESS] or None
    if not any(map(_names_a_server, _files_of_prefect())):
        return None
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - Prefect, for those who have configured it

    address: str | None = PREFECT_API_URL.value()
    return address


def settle_server(*, optional: bool) -> None:
    """See that the named server answers, before a run begins that is to be recorded there.

    optional: where it doesn't, this process goes on as if none were named, and a warning says so. Raises StorageError
    where it doesn't and is not optional.
    """
    address = named_server()
    failure = _failure() if address else None
    if not address or failure is None:
        return
    message = f"{ADDRESS} {public_address(address)}: expected a Prefect server that answers, received: {failure}."
    if not optional:
        msg = (
            f"{message} Nothing has begun: start that server, unset {ADDRESS}, or let runs go on without it "
            "(CTR_RETRAIN_PREFECT_SERVER=optional)."
        )
        raise StorageError(msg)
    log.warning("%s This run goes on and is not recorded there.", message)
    os.environ[ADDRESS] = ""  # not removed: a file of Prefect's may name one too


def _failure() -> str | None:
    """Return what is wrong with the named server's answers, None where nothing is."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - two seconds, which count for no answer

    found: list[str | None] = []

    def ask() -> None:
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings  # noqa: PLC0415

        try:
            # A question to its database each: what a run writes first, and what it reads.
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
                client.create_flow_from_name("daily")
                client.read_flow_runs(limit=1)
            found.append(None)
        except Exception as error:  # noqa: BLE001 - a client's library may raise anything
            found.append(_told(error))

    # A socket's own timeout begins anew with each byte, and a server that hangs may send some.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return found[0] if found else f"no answer within {ANSWER_SECONDS} s"


def _told(error: Exception) -> str:
    """Say in a few words what became of a question."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status:
        return f"HTTP status {status}"
    if isinstance(error, ValueError):  # no JSON, or not what Prefect's has in it
        return "an answer that is none of Prefect's"
    # httpx puts its own errors around those of sockets, which say what happened.
    cause = error.__cause__ or error.__context__
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    return failure_of(cause if isinstance(cause, OSError) else error)


def _files_of_prefect() -> list[Path]:
    """Return the files in which Prefect looks for settings."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    profiles = os.environ.get("PREFECT_PROFILES_PATH")
    return [
        Path(profiles) if profiles else home / "profiles.toml",
        Path("prefect.toml"),
        Path("pyproject.toml"),
        Path(".env"),
    ]


def _names_a_server(file: Path) -> bool:
    """Return True if a file of settings may name a server, which Prefect then says."""
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    if ADDRESS in content.upper():
        return True
    if file.name not in ("prefect.toml", "pyproject.toml"):
        return False
    try:
        parsed = tomllib.loads(content)
    except tomllib.TOMLDecodeError:
        return False
    ours = parsed if file.name == "prefect.toml" else parsed.get("tool", {}).get("prefect", {})
    return "url" in ours.get("api", {})
