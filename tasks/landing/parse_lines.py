"""Parsing of lines into rows, one by one: the slow path, which gives a line that holds no row its number and reason."""

from __future__ import annotations

import csv
import io
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ctr_retrain.tasks.landing.text_blocks import MAX_LINE_BYTES, CutLine

MAX_RECORD_LINES = 100  # of one CSV record: an unclosed quote must not swallow the rest of the file
RAW_CHARACTERS = 2000  # that are kept of a malformed line
# Reasons that quarantine shows.
NOT_UTF8 = "malformed_encoding: expected UTF-8"
TOO_LONG = f"expected a line of at most {MAX_LINE_BYTES >> 20} MiB"


@dataclass(frozen=True)
class MalformedRow:
    """A line that holds no row. Blank lines and a CSV header are lines, but not rows."""

    row: int  # its number among the file's rows, from 1
    line: int  # its number among the file's lines, from 1
    reason: str
    raw: str  # its beginning


Rows = Iterator[dict[str, str | None] | MalformedRow]


def parse_json_lines(lines: Iterator[str]) -> Rows:
    """Parse each line that is not blank as a row of texts, numbers as they are written."""
    row = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row += 1
        if isinstance(line, CutLine):
            yield MalformedRow(row, number, f"malformed_json: {TOO_LONG}", printable(line))
            continue
        try:
            # Numbers stay as they are written: an id of 1.50 must not become 1.5 on this path alone.
            value = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            yield MalformedRow(row, number, f"malformed_json: {error}", printable(line))
            continue
        if not isinstance(value, dict):
            yield MalformedRow(row, number, "malformed_json: expected an object", printable(line))
            continue
        values = {key: _as_text(item) for key, item in value.items()}
        yield values if _encodable(values) else MalformedRow(row, number, NOT_UTF8, printable(line))


def parse_csv(lines: Iterator[str], names: list[str], delimiter: str) -> Rows:
    """Parse each record after the header; a record may span lines only where it then has the header's fields."""
    csv.field_size_limit(MAX_LINE_BYTES)  # Python's own bound is 128 KiB a field
    header = csv.reader(lines, delimiter=delimiter)
    next(header, None)
    row, number = 0, header.line_num + 1
    ahead: deque[str] = deque()  # lines that were read in search of a record's end, and belong to later records
    while True:
        if not ahead:
            ahead.extend(line for line in (next(lines, ""),) if line)
        if not ahead:
            return
        first = ahead[0]
        record, used = _next_record(ahead, lines, len(names), delimiter)
        if record != []:
            row += 1
        if isinstance(record, str):
            yield MalformedRow(row, number, f"malformed_csv: {record}", printable(first))
        elif record:
            values = dict(zip(names, (value or None for value in record), strict=True))
            yield values if _encodable(values) else MalformedRow(row, number, NOT_UTF8, printable(first))
        number += used


def _next_record(ahead: deque[str], lines: Iterator[str], fields: int, delimiter: str) -> tuple[list[str] | str, int]:
    """Take the next record off the lines: its fields, [] for a blank line, or why its first line holds none.

    Returns with it the number of lines that were taken.
    """
    text = ""
    problem = ""
    for used in range(1, MAX_RECORD_LINES + 1):
        if used > len(ahead):
            ahead.extend(line for line in (next(lines, ""),) if line)
        if used > len(ahead):
            break
        if isinstance(ahead[used - 1], CutLine):
            problem = problem or TOO_LONG
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
        return record, used
    ahead.popleft()
    return problem, 1


def _encodable(values: dict[str, str | None]) -> bool:
    """Return True if all values are Unicode text, see `is_text`."""
    try:
        "".join(value for value in values.values() if value).encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(line: str) -> str:
    """Return the beginning of a line, without its line break, as text that any file takes."""
    kept = line[:RAW_CHARACTERS].rstrip("\r\n")
    return kept.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_text(found: str) -> bool:
    """Return True for text that Unicode has: a lone surrogate stands for a byte that is no UTF-8."""
    try:
        found.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_text(value: Any) -> str | None:
    """Return a JSON value as a text: lists and objects as JSON, null as None."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
