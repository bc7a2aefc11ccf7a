"""The base of all documents: they are immutable, say their version, and are refused in a sentence.

Part             a part of documents
Document         what a command prints with --json
StoredDocument   what lies in a root, and is read again by later versions of this software

The keys of the JSON are contracts. The published schemas in docs/schemas/ are made from these types, with the text
below each field as its description.
"""

from __future__ import annotations

import datetime as dt
import json
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from ctr_retrain.models.described_model import DescribedModel
from ctr_retrain.models.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Day = dt.date
Number = Annotated[int | float, WithJsonSchema({"type": "number"})]  # keeps 0 apart from 0.0, as JSON does
# JSON has no infinity: a bound that isn't there is null.
Bound = Annotated[float | None, BeforeValidator(lambda value: value if value is None or isfinite(value) else None)]


def _file_below(path: str) -> str:
    """Return the path of a file below an object; raises ValueError for one that leads elsewhere or can't be one."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(p in ("", ".", "..") or len(p.encode()) > 255 for p in parts):
        msg = "a path below the object"
        raise ValueError(msg)
    return path


# What a stored document names is a path below the root, and nothing else: it is checked before anything is opened.
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
ObjectName = Annotated[str, StringConstraints(pattern=f"^{_NAME}$")]  # one part of an object's path
ObjectPath = Annotated[str, StringConstraints(pattern=f"^{_NAME}(/{_NAME}){{0,9}}$")]
FilePath = Annotated[str, StringConstraints(max_length=4096), AfterValidator(_file_below)]

FORMAT_KEY = "format"
MAX_DOCUMENT_BYTES = 2**26  # of a ref, a manifest or a document: a hundred thousand files take 20 MB


class Part(DescribedModel):
    """A part of documents: immutable, and with no key but its own."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values under the documents' keys."""
        return self.model_dump(mode="json")

    @classmethod
    def of(cls, other: Part) -> Self:
        """Make this kind of part from another that has all of its fields, and perhaps more."""
        return cls(**{name: getattr(other, name) for name in cls.model_fields})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave. Keys that this version doesn't know are left out. Raises ValidationError."""
        return cls.model_validate(values, extra="ignore")


class Document(Part):
    """A whole document: what a command prints with --json."""

    def to_text(self) -> str:
        """Return the document as JSON text."""
        return json.dumps(self.to_json(), indent=1)


class StoredDocument(Document):
    """A document that lies in a root.

    Its format is raised when a reader of before would misunderstand it. A key more is no new format: a key that a
    reader doesn't know is left out, and one that an older document lacks has a default.
    """

    FORMAT: ClassVar[int] = 1
    REMEDY: ClassVar[str] = "Restore the file from a backup, or run again"  # where the document can't be read

    format: int = 1
    """Version of the document's format. Documents of before there were versions have none, which counts as 1."""

    def write(self, path: Path) -> None:
        """Write the document into a file."""
        path.write_text(self.to_text(), encoding="utf-8")

    @classmethod
    def from_before(cls, content: object) -> object:
        """Bring JSON that an older version wrote into this format; all else is returned as it came."""
        return content

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the document in a file; raises StorageError where it is none that this version can read."""
        return parse_document(cls, path.read_bytes(), str(path))


Stored = TypeVar("Stored", bound=StoredDocument)


def parse_document(kind: type[Stored], text: bytes, where: str) -> Stored:
    """Read a stored document from its text.

    Raises StorageError where the text is torn, is of another format, or lacks what its format has; `where` says in the
    error which document it was.
    """
    content = kind.from_before(parse_json(text))
    if not isinstance(content, dict):
        msg = f"{where}: expected a JSON object, received {text[:80]!r}. {kind.REMEDY}."
        raise StorageError(msg)
    return parse_content(kind, content, where)


def parse_json(text: bytes) -> object:
    """Parse stored JSON; None where it is none, is nested without end, or is larger than any document."""
    try:
        return json.loads(text) if len(text) <= MAX_DOCUMENT_BYTES else None
    except (ValueError, RecursionError):
        return None


def parse_content(kind: type[Stored], content: dict[str, Any], where: str) -> Stored:
    """Read a stored document from its keys and values; raises StorageError as `parse_document` does."""
    version = content.get(FORMAT_KEY, 1)
    if type(version) is not int or version != kind.FORMAT:  # True is 1 and 1.0 is, and neither is a format
        newer = type(version) is int and version > kind.FORMAT
        remedy = "Upgrade ctr-retrain to the version that wrote it" if newer else kind.REMEDY
        msg = f"{where}: expected format {kind.FORMAT}, received format {version!r}. {remedy}."
        raise StorageError(msg)
    try:
        return kind.from_json(content)
    except ValidationError as error:
        msg = (
            f"{where}: expected a document of format {kind.FORMAT} with {first_mistake(error)}. "
            f"It was damaged or written by other software. {kind.REMEDY}."
        )
        raise StorageError(msg) from error


def first_mistake(error: ValidationError) -> str:
    """Say which key of stored content is wrong, and what stands there; goes on after "expected … with"."""
    mistake = error.errors(include_url=False)[0]
    key = ".".join(map(str, mistake["loc"]))
    received = "none" if mistake["type"] == "missing" else f"{mistake['input']!r}"[:80]
    return f"the key {key!r}, received {received}"
