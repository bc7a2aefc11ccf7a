"""Manifests, typed: what an object says of itself is checked before anything is opened, fetched or removed by it.

`Manifest` is what each has; the other types hold what readers of one kind of object need beside that.
"""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, StringConstraints, ValidationError, model_validator

from ctr_retrain.models.documents.document import (
    Day,
    FilePath,
    ObjectName,
    ObjectPath,
    Part,
    first_mistake,
    parse_json,
)
from ctr_retrain.models.errors import StorageError

MANIFEST = "manifest.json"
MAX_FILE_BYTES = 5 * 2**40  # of one file: what S3 takes; a figure beyond is none that a writer of ours wrote
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Kind = TypeVar("Kind", bound=Part)


class FileEntry(Part):
    """A file of an object."""

    path: FilePath
    """Its path below the object."""
    size: int = Field(alias="bytes", ge=0, le=MAX_FILE_BYTES, strict=True)
    """Its bytes."""
    # It names the file in the cache: anything but a digest there would be a path.
    sha256: Sha256
    """SHA-256 of its bytes."""


class Manifest(Part):
    """Every object's manifest."""

    code_version: str = ""
    """Version of the software that wrote it."""
    files: tuple[FileEntry, ...]
    """All files of the object but the manifest."""
    # Part of a key in a bucket, so no path may stand there.
    writer: Annotated[str, StringConstraints(pattern="^[0-9A-Za-z-]{0,64}$")] = ""
    """Name that the writer gave itself; empty on a local disk."""

    @model_validator(mode="after")
    def _names_each_file_once(self) -> Self:
        paths = [entry.path for entry in self.files]
        folders = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
        if len({MANIFEST, *paths}) <= len(paths) or folders & set(paths):
            msg = "files of different names, none of which is the folder of another or the manifest"
            raise ValueError(msg)
        return self


class Sharded(Part):
    """A landed or labelled day, whose rows may lie in shards."""

    shards: tuple[ObjectPath, ...] = Field((), alias="pieces")
    """Paths of its shards; none where the rows lie in the object itself."""


class MadeOfDays(Part):
    """Labels or an encoded day."""

    inputs: tuple[ObjectPath, ...]
    """Paths of the landed days that went in."""


class EncodedDay(MadeOfDays):
    """An encoded day."""

    rows: int = Field(ge=0)
    """Its impressions."""
    encoding: str
    """Digest of what the recipe's features read of them."""


class LandedDay(Part):
    """A landed day."""

    definition: str = ""
    """Digest of how the files were read; empty in days that older versions wrote."""


class KeptRun(Part):
    """A run, as far as other objects go by it."""

    champion: ObjectName | None
    """The champion that the challenger met."""
    labels: tuple[ObjectPath, ...]
    """Paths of the labels that were read."""


class PublishedModel(Part):
    """A model that is or was in service."""

    data_through: Day
    """The newest day that what serves has seen."""
    evaluated_data_through: Day | None = None
    """The newest day that the judged model has seen, where another serves."""
    recalibration: tuple[Any, ...] | None = None
    """By how much each channel's level was moved; None where the model serves as judged."""
    recipe_digest: str
    """Digest of the recipe."""
    training_digest: str | None = None
    """Digest of what trains in it; None in models that older versions published."""


def parse_manifest(text: bytes, path: str, root: str) -> dict[str, Any]:
    """Return the content of a stored manifest; raises StorageError, which names it, where it is none."""
    content = parse_json(text)
    if not isinstance(content, dict):
        msg = f"{_where(path, root)}: expected JSON, received {text[:80]!r}. Restore the file from a backup."
        raise StorageError(msg)
    _typed(content, Manifest, path, root)
    return content


def files_of(content: dict[str, Any]) -> tuple[FileEntry, ...]:
    """Return the files that a manifest names, as `parse_manifest` has checked it."""
    return Manifest.from_json(content).files


def typed_manifest(content: dict[str, Any], kind: type[Kind], path: str, root: str) -> Kind:
    """Return what a kind of object says of itself in its manifest; raises StorageError where it doesn't."""
    return _typed(content, kind, path, root)


def _typed(content: dict[str, Any], kind: type[Kind], path: str, root: str) -> Kind:
    try:
        return kind.from_json(content)
    except ValidationError as error:
        msg = (
            f"{_where(path, root)}: expected a manifest with {first_mistake(error)}. It was damaged or written by "
            "other software. Restore it from a backup; or remove it, and what it describes is made anew."
        )
        raise StorageError(msg) from error


def _where(path: str, root: str) -> str:
    return f"manifest of {path} in {root} ({path}/{MANIFEST})"
