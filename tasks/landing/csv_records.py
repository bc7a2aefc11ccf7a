"""Records of a CSV text, one by one, its delimiter, and the layout in which DuckDB and this module read the same.

A record is a line, unless a quoted field goes on in the next. Blanks around a quoted field don't count; elsewhere they
are part of the value, as is a quote within a field that isn't quoted. Empty fields behind the header's last are none.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import deque
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.tasks.landing.landed_bytes import printable
from ctr_retrain.tasks.landing.parse_lines import MAX_LINE_BYTES, NOT_UTF8, TOO_LONG, CutLine, MalformedRow

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RECORD_LINES = 100  # an unclosed quote must not swallow the rest of the file
DELIMITERS = (",", "\t", ";", "|")  # by which people write columns; the first ones are read without being named
TO_UTF8 = "iconv -f WINDOWS-1252 -t UTF-8 FILE > utf8-FILE"  # what to type for a text that is no UTF-8
FIRST_LINE_TOLD = 80  # bytes of a line of column names that has another delimiter
QUOTE, LINE_FEED, RETURN = b'"\n\r'

Values = list[str | None]
csv.field_size_limit(MAX_LINE_BYTES)  # Python's own bound is 128 KiB a field


class CsvLayout:
    """Does each line of a text hold one record, with quotes around whole fields alone? Then all readers agree."""

    def __init__(self, delimiter: str) -> None:
        """Begin a text."""
        self._beside = np.array([ord(delimiter), LINE_FEED, QUOTE], np.uint8)  # of a quote, on its outer side
        self._quoted = False  # the next byte stands in a quoted field
        self._before = LINE_FEED  # the last byte of the block before
        self._returns = self._pairs = self._feeds = 0
        self._regular = True

    @property
    def one_reading(self) -> bool:
        """Return True if all of it is so; line ends are all of one kind then."""
        return self._regular and not self._quoted and (not self._returns or self._returns == self._pairs == self._feeds)

    def add(self, block: bytes) -> None:
        """Look at the next block."""
        if not self._regular or not block:
            return
        self._feeds += block.count(b"\n")
        self._returns += block.count(b"\r")
        if self._returns:
            self._pairs += block.count(b"\r\n") + (self._before == RETURN and block[0] == LINE_FEED)
        if self._quoted or self._before == QUOTE or b'"' in block:
            self._regular = self._quotes_enclose_fields(np.frombuffer(block, np.uint8))
        self._before = block[-1]

    def _quotes_enclose_fields(self, block: np.ndarray) -> bool:
        """Return False where a quote stands elsewhere than at a field's ends, or a line end within a quoted field."""
        text = np.concatenate([np.array([self._before], np.uint8), block])
        quotes = np.flatnonzero(block == QUOTE) + 1
        opening, closing = (quotes[self._quoted :: 2], quotes[not self._quoted :: 2])
        ends = np.flatnonzero(block == LINE_FEED) + 1
        within = (np.searchsorted(quotes, ends) + self._quoted) % 2
        after = text[closing[closing < len(text) - 1] + 1]
        # The last byte of the block before may have been a closing quote, whose next byte is only known now.
        if self._before == QUOTE and not self._quoted:
            after = np.append(after, text[1])
        self._quoted = bool((self._quoted + len(quotes)) % 2)
        return not (
            within.any()
            or not np.isin(text[opening - 1], self._beside).all()
            or not np.isin(after, [*self._beside, RETURN]).all()
        )


def other_delimiter(first: bytes, delimiter: str, *, told: bool) -> str:
    """Say that a file's first line looks like one with another delimiter than expected; empty where it doesn't.

    told: the recipe names the delimiter, so that a single one of it in the line says enough.
    """
    # A delimiter within quotes is part of a name.
    names = re.sub(rb'"[^"]*"', b"", first)
    seen = {known: names.count(known.encode()) for known in (delimiter, *DELIMITERS)}
    likely = max(seen, key=lambda known: seen[known])
    if not seen[likely] or likely == delimiter or (told and seen[delimiter]):
        return ""
    unless = f", or {json.dumps(delimiter)} if that is what separates them" if seen[delimiter] else ""
    return (
        f"expected {_named(delimiter)} between the column names, received a first line that looks like "
        f"{_named(likely)}: {printable(first[:FIRST_LINE_TOLD])}. Set landing.delimiter = {json.dumps(likely)}{unless}"
    )


def _named(delimiter: str) -> str:
    """Name a delimiter for a person."""
    return "a tab" if delimiter == "\t" else repr(delimiter)


def read_header(head: bytes, delimiter: str) -> list[str] | str:
    """Return the names in a text's first line that is not blank, or why they can't be read.

    head: the text's first block.
    """
    line, ended, _ = head.lstrip(b"\r\n").partition(b"\n")
    if not ended and len(line) >= 1 << 20:
        return "expected a line of column names, received a first line of more than 1 MiB"
    if b"\0" in line:
        return "expected a line of column names, received binary data"
    if b"\r" in line.rstrip(b"\r"):
        return "expected lines that end in LF or CR LF, received CR alone: convert it, as by tr '\\r' '\\n'"
    try:
        found = _fields(line.decode(), delimiter)
    except UnicodeDecodeError:
        return f"expected column names in UTF-8, received other bytes; perhaps those of Windows: {TO_UTF8}"
    except csv.Error:
        return f"expected a line of column names, received one whose quotes don't close: {printable(line)[:200]}"
    return found or "expected a line of column names, received none"


def parse_csv(lines: Iterator[bytes], fields: int, delimiter: str) -> Iterator[Values | MalformedRow]:
    """Parse each record after the header; a record may span lines only where it then has the header's fields."""
    number = 0
    for line in lines:
        number += 1
        if line.strip(b"\r\n"):
            break
    row = 0
    number += 1
    ahead: deque[bytes] = deque()  # lines that were read in search of a record's end, and belong to later records
    while ahead or _read_ahead(ahead, lines, 1):
        first = ahead[0]
        record, used = _next_record(ahead, lines, fields, delimiter)
        if record != []:
            row += 1
        if isinstance(record, str):
            reason = record if record == NOT_UTF8 else f"malformed_csv: {record}"
            yield MalformedRow(row, number, reason, printable(first))
        elif record:
            yield [value or None for value in record]
        number += used


def _read_ahead(ahead: deque[bytes], lines: Iterator[bytes], wanted: int) -> bool:
    """Read lines until `wanted` of them are ahead; return False where the text ends before."""
    while len(ahead) < wanted:
        line = next(lines, b"")
        if not line:
            return False
        ahead.append(line)
    return True


def _next_record(
    ahead: deque[bytes], lines: Iterator[bytes], fields: int, delimiter: str
) -> tuple[list[str] | str, int]:
    """Take the next record off the lines: its fields, [] for a blank line, or why its first line holds none.

    Returns with it the number of lines that were taken.
    """
    record = _record(ahead[0], fields, delimiter)
    if not isinstance(record, str) or ahead[0].count(b'"') % 2 == 0:
        ahead.popleft()
        return record, 1
    text = ahead[0]
    for used in range(2, MAX_RECORD_LINES + 1):
        # A line that is a record by itself ends the search: the quote was never closed.
        if not _read_ahead(ahead, lines, used) or _stands_alone(ahead[used - 1], fields, delimiter):
            break
        text += ahead[used - 1]
        if text.count(b'"') % 2:
            continue
        whole = _record(text, fields, delimiter)
        if isinstance(whole, str):
            break
        for _ in range(used):
            ahead.popleft()
        return whole, used
    ahead.popleft()
    return record, 1


def _stands_alone(line: bytes, fields: int, delimiter: str) -> bool:
    """Return True for a line that can't belong to a record that began before it."""
    if isinstance(line, CutLine):
        return True
    # The line in which a quoted field ends has an odd number of quotes.
    even = line.count(b'"') % 2 == 0
    return even and fields > 1 and bool(line.strip()) and isinstance(_record(line, fields, delimiter), list)


def _record(text: bytes, fields: int, delimiter: str) -> list[str] | str:
    """Return a record's fields, [] where it is blank, or why it is none."""
    if isinstance(text, CutLine):
        return TOO_LONG
    try:
        found = _fields(text.decode(), delimiter)
    except UnicodeDecodeError:
        return NOT_UTF8
    except csv.Error as error:
        return "expected a closing quote" if "unexpected end of data" in str(error) else str(error)
    while len(found) > fields and not found[-1]:
        found.pop()
    return found if len(found) in (0, fields) else f"expected {fields} fields, received {len(found)}"


def _fields(text: str, delimiter: str) -> list[str]:
    """Return the fields of a record, [] where it is blank; raises csv.Error where its quotes don't enclose fields."""
    if '"' in text:
        text = _blanks_around(delimiter).sub(r"\1\2", text)  # which Python would take for the value's
    records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    if len(records) > 1:
        msg = "a line end stands between its fields"
        raise csv.Error(msg)
    return records[0] if records else []


@cache
def _blanks_around(delimiter: str) -> re.Pattern[str]:
    """Return the pattern of a quoted field, the second group, with the blanks around it."""
    between = re.escape(delimiter)
    return re.compile(rf'(^|{between})[ ]*("(?:[^"]|"")*+")[ ]*(?={between}|\r|\n|$)')
