"""Lines of a landed text, one by one, and those among them that hold no row, with number and reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.outside_text import shown
from ctr_retrain.tasks.landing.landed_bytes import open_landed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 24  # 16 MiB, DuckDB's own bound of a JSON object
KEPT_OF_LONG_LINE = 4000  # bytes
MOST_TOLD = 600  # characters of a reason
# Reasons that quarantine shows.
NOT_UTF8 = "malformed_encoding: expected UTF-8"
TOO_LONG = f"expected a line of at most {MAX_LINE_BYTES >> 20} MiB"


class CutLine(bytes):
    """The beginning of a line that is longer than MAX_LINE_BYTES; the rest of it was passed over."""

    __slots__ = ()


@dataclass(frozen=True)
class MalformedRow:
    """A line that holds no row. Blank lines and a CSV header are lines, but not rows."""

    row: int  # its number among the file's rows, from 1
    line: int  # its number among the file's lines, from 1
    reason: str
    raw: str  # its beginning


# Columns of a file with malformed lines.
MALFORMED = pa.schema([("row", pa.int64()), ("line", pa.int64()), ("reason", pa.string()), ("raw", pa.string())])


@dataclass(frozen=True)
class Malformed:
    """A file's malformed lines, kept on disk: a day's worth need not fit into memory."""

    count: int = 0
    path: Path | None = None  # of a Parquet file with the columns of MALFORMED; None where there are none

    def __len__(self) -> int:
        """Return the number of malformed lines."""
        return self.count

    def __iter__(self) -> Iterator[MalformedRow]:
        """Read one malformed line after the other, in the file's order."""
        for batch in self.batches():
            yield from (MalformedRow(**row) for row in batch.to_pylist())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read many malformed lines at a time, with the columns of MALFORMED."""
        if self.path is not None and self.count:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches()


class Lines:
    """The lines of a plain text, each with its end; where the text is torn, the last one stands apart."""

    def __init__(self, path: Path, *, torn: bool) -> None:
        """Begin a text; nothing is read before the first line is asked for. torn: it ends where its file is torn."""
        self.count = 0  # lines given so far
        self.torn = b""  # the line at which the file is torn, known after all others
        self._lines = self._read(path, torn=torn)

    def __iter__(self) -> Iterator[bytes]:
        """Return the lines themselves."""
        return self

    def __next__(self) -> bytes:
        """Return the next line."""
        line = next(self._lines)
        self.count += 1
        return line

    def _read(self, path: Path, *, torn: bool) -> Iterator[bytes]:
        """Yield the lines; of one that is too long only its beginning, as a CutLine, while the rest is passed over."""
        rest, passing_over = b"", False
        with open_landed(path) as file:
            while block := file.read(READ_BYTES):
                text = block
                if passing_over:
                    _, found, text = block.partition(b"\n")
                    if not found:
                        continue
                    passing_over = False
                *lines, rest = (rest + text).split(b"\n")
                for line in lines:
                    yield line + b"\n" if len(line) <= MAX_LINE_BYTES else CutLine(line[:KEPT_OF_LONG_LINE])
                if len(rest) > MAX_LINE_BYTES:
                    yield CutLine(rest[:KEPT_OF_LONG_LINE])
                    rest, passing_over = b"", True
        if torn:
            self.torn = rest
        elif rest:
            yield rest


def json_problem(line: bytes) -> str:
    """Say why a line holds no JSON object, for one of which that is known."""
    if isinstance(line, CutLine):
        return TOO_LONG
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return str(error)
    return "expected one object a line" if isinstance(value, dict) else "expected an object"


def one_line(reason: str) -> str:
    """Return the beginning of a reason, which may quote a file, on one line."""
    return shown(reason[:MOST_TOLD]) + ("…" if len(reason) > MOST_TOLD else "")
