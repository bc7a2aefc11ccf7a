"""Text files line by line: the slow path, where a line that holds no row is kept with its number and the reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pathlib import Path

MAX_RECORD_LINES = 100  # of one CSV record: an unclosed quote must not swallow the rest of the file
RAW_CHARACTERS = 2000  # that are kept of a malformed line


@dataclass(frozen=True)
class MalformedRow:
    """A line that holds no row: its 1-based number among the file's rows, why, and its beginning."""

    row: int
    reason: str
    raw: str


Rows = Iterator[dict[str, str | None] | MalformedRow]


def open_text(path: Path) -> IO[str]:
    """A text file, decompressed; bytes that are not UTF-8 come as surrogates, so that their rows can be told."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    if path.suffix == ".zst":
        stream = pa.input_stream(str(path), compression="zstd")
        return io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline="")
    return path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_whole(path: Path) -> None:
    """Decompress a file to its end; raises OSError, EOFError or zlib.error where it is damaged."""
    if path.suffix == ".gz":
        stream: Any = gzip.open(path, "rb")  # noqa: SIM115 - closed below, whichever it is
    elif path.suffix == ".zst":
        stream = pa.input_stream(str(path), compression="zstd")
    else:
        stream = path.open("rb")
    with stream:
        while stream.read(1 << 20):
            pass


def parse_json_lines(lines: IO[str]) -> Rows:
    """Each line that is not blank as a row of texts, numbers as they are written."""
    row = 0
    for line in lines:
        if not line.strip():
            continue
        row += 1
        try:
            # Numbers stay as they are written: an id of 1.50 must not become 1.5 on this path alone.
            value = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            yield MalformedRow(row, f"malformed_json: {error}", _printable(line))
            continue
        if not isinstance(value, dict):
            yield MalformedRow(row, "malformed_json: expected an object", _printable(line))
            continue
        yield _encodable(row, {key: _as_text(item) for key, item in value.items()}, line)


def parse_csv(lines: IO[str], names: list[str], delimiter: str) -> Rows:
    """Each record after the header; a record may span lines only where it then has the header's fields."""
    next(csv.reader(lines, delimiter=delimiter), None)
    row = 0
    ahead: deque[str] = deque()
    while True:
        if not ahead:
            ahead.extend(line for line in (next(lines, ""),) if line)
        if not ahead:
            return
        record = _next_record(ahead, lines, len(names), delimiter)
        if record == []:
            continue
        row += 1
        if isinstance(record, str):
            line = ahead.popleft()
            yield MalformedRow(row, f"malformed_csv: {record}", _printable(line))
        else:
            values = dict(zip(names, (value or None for value in record), strict=True))
            yield _encodable(row, values, delimiter.join(record))


def _next_record(ahead: deque[str], lines: IO[str], fields: int, delimiter: str) -> list[str] | str:
    """The next record's fields, taken from `ahead`, [] for a blank line, or why its first line holds none."""
    text = ""
    problem = ""
    for used in range(1, MAX_RECORD_LINES + 1):
        if used > len(ahead):
            ahead.extend(line for line in (next(lines, ""),) if line)
        if used > len(ahead):
            break
        text += ahead[used - 1]
        try:
            records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error as error:
            problem = problem or str(error)
            if "unexpected end of data" in str(error):  # a quoted field goes on in the next line
                continue
            break
        record = records[0] if records else []
        if len(records) > 1 or (record and len(record) != fields):
            problem = problem or f"expected {fields} fields, received {len(record)}"
            break
        for _ in range(used):
            ahead.popleft()
        return record
    return problem


def _encodable(row: int, values: dict[str, str | None], line: str) -> dict[str, str | None] | MalformedRow:
    try:
        "".join(value for value in values.values() if value).encode()
    except UnicodeEncodeError:
        return MalformedRow(row, "malformed_encoding: expected UTF-8", _printable(line))
    return values


def _printable(line: str) -> str:
    kept = line[:RAW_CHARACTERS].rstrip("\r\n")
    return kept.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
