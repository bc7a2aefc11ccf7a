"""JSON that is not an object a line: objects in an array, joined, or over several lines; and malformed lines.

A text of another layout is written anew with an object a line; only blanks, commas and the array's brackets go. A file
with malformed lines is read line by line, by functions of DuckDB that make the same texts of an object's values as
`read_json` does, numbers, nested values and all.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.landed_bytes import printable
from ctr_retrain.tasks.landing.landed_values import json_value
from ctr_retrain.tasks.landing.parse_lines import NOT_UTF8, CutLine, Lines, MalformedRow, json_problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

MOST_LINES, MOST_BYTES = 50_000, 1 << 25  # of one batch
MAX_OBJECT_BYTES = 1 << 24  # behind a larger object the text is passed on as it is, lest it be held for ever
# A whole string, whose brackets mean nothing; a bracket; or a quote whose string doesn't end in this text.
_TOKEN = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|[{}\[\]"]')
_BETWEEN = b" \t\r\n\f\v,"
_JOINT = re.compile(rb"(?<=\})[ \t\r\n\f\v,]*(?=\{)")
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")

# The number of a text among several, from 0, that of a line in it, from 1, and what stands in the line.
Numbered = tuple[int, int, bytes]
Place = tuple[int, int]  # of a row: the number of its text, and its own in it, both from 0


class ObjectSplitter:
    """The objects of a text at its top level, or in the array that it is."""

    def __init__(self) -> None:
        """Begin a text."""
        self.rest = b""  # an object that didn't end yet, or what stands behind the last one
        self.in_array = False

    def split(self, block: bytes) -> list[bytes]:
        """Return the objects that end in this block, and other things before them, each on one line."""
        text, found, start, at, depth = self.rest + block, list[bytes](), 0, 0, 0
        while token := _TOKEN.search(text, at):
            at, kind = token.end(), token[0]
            if kind == b'"' and depth:  # the string's end is yet to come, or it has none
                break
            if kind == b"{" or (kind == b"[" and depth):
                if not depth:
                    found += _piece(text[start : token.start()])
                    start = token.start()
                depth += 1
            elif kind in (b"}", b"]") and depth:
                depth -= 1
                if not depth:
                    found += _piece(text[start:at])
                    start = at
            elif kind in (b"[", b"]") and not text[start : token.start()].strip(_BETWEEN):
                self.in_array, start = kind == b"[", at
        self.rest = text[start:]
        return found


def one_object_a_line(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a text's blocks with an object a line; raises EOFError where an object or the array doesn't end."""
    splitter = ObjectSplitter()
    for block in blocks:
        if pieces := splitter.split(block):
            yield b"\n".join(pieces) + b"\n"
        if len(splitter.rest) > MAX_OBJECT_BYTES:
            yield b"\n".join(_JOINT.split(splitter.rest))
            yield from blocks
            return
    if rest := _piece(splitter.rest):
        yield b"\n".join(_JOINT.split(rest[0]))
        if not is_object(rest[0]):
            msg = "ended within a JSON object"
            raise EOFError(msg)
    if splitter.in_array:
        msg = "ended within a JSON array"
        raise EOFError(msg)


def objects_of_line(line: bytes) -> list[bytes]:
    """Return the objects that stand joined on one line or in an array on it, the last one as far as it goes.

    Services that join records write so (Firehose), and a writer that was stopped within a line and then went on. The
    line itself where something else stands among them.
    """
    splitter = ObjectSplitter()
    pieces = [*splitter.split(line), *_piece(splitter.rest)]
    several = len(pieces) > 1 or (pieces and line.startswith(b"["))
    return pieces if several and all(piece.startswith(b"{") for piece in pieces) else [line]


def needs_splitting(head: bytes) -> bool:
    """Return True for a text whose lines are no objects: an array, one line of many objects, or objects over lines.

    head: its beginning. A text of lines some of which are malformed is left as it is.
    """
    text = head.lstrip()
    first, ended, behind = text.partition(b"\n")
    if text.startswith(b"["):
        return text[1:].lstrip()[:1] == b"{" and not (behind.strip() and first.rstrip().endswith(b"}]"))
    if not text.startswith(b"{") or is_object(first):
        return False
    objects = ObjectSplitter().split(text)
    return bool(objects) and is_object(objects[0]) and not (ended and first.startswith(objects[0]))


def is_object(text: bytes) -> bool:
    """Return True for one whole JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _piece(text: bytes) -> list[bytes]:
    """Return a piece of text on one line, or nothing where it holds nothing."""
    piece = text.strip(_BETWEEN)
    return [piece.translate(_LINE_ENDS)] if piece else []


def with_nested(table: str, names: Iterable[str], wanted: Collection[str]) -> str:
    """Return a table of JSON's values in which wanted names such as `user.id` have those of `id` in the object `user`.

    A key of the whole name counts first, row by row. names: the table's columns.
    """
    known, values = set(names), []
    for name in wanted:
        top, _, below = name.partition(".")
        if below and {name, top} <= known:
            value = json_value(duck.name(top), below.split("."))
            values.append(f"coalesce({duck.name(name)}, {value}) AS {duck.name(name)}")
    return f"(SELECT * REPLACE ({', '.join(values)}) FROM {table})" if values else table


def read_json_rows(
    connection: duck.Connection, texts: Sequence[Lines], names: list[str], wanted: list[str]
) -> Iterator[tuple[pa.Table, list[Place], list[tuple[int, MalformedRow]]]]:
    """Yield rows of texts many at a time: a column of texts for each name, their places, and the lines that hold none.

    A place is the text's number among `texts` and the row's in it, both from 0; of a line the text's number is told.
    wanted: the keys that must not stand twice in a row, since nobody could say which of the values counts.
    """
    positions = [0] * len(texts)
    for batch in _batches(texts):
        read = _problems(connection, batch, wanted)
        if any(read):
            batch = [  # noqa: PLW2901
                (text, number, piece)
                for (text, number, line), problem in zip(batch, read, strict=True)
                for piece in (objects_of_line(line) if problem and not isinstance(line, CutLine) else [line])
            ]
            read = _problems(connection, batch, wanted)
        good: list[bytes] = []
        places: list[Place] = []
        malformed: list[tuple[int, MalformedRow]] = []
        for (text, number, line), problem in zip(batch, read, strict=True):
            row, positions[text] = positions[text], positions[text] + 1
            if problem:
                malformed.append((text, MalformedRow(row + 1, number, problem, printable(line))))
            else:
                good.append(line)
                places.append((text, row))
        yield _values(connection, good, names, wanted), places, malformed


def _batches(texts: Sequence[Lines]) -> Iterator[list[Numbered]]:
    """Yield the lines that are not blank, many at a time."""
    batch: list[Numbered] = []
    size = 0
    for where, number, line in ((w, n, line) for w, lines in enumerate(texts) for n, line in enumerate(lines, start=1)):
        # DuckDB passes over all of these blanks around an object of a file, and not around one of a line.
        text = line if isinstance(line, CutLine) else line.strip()
        if not text:
            continue
        batch.append((where, number, text))
        size += len(text)
        if len(batch) == MOST_LINES or size >= MOST_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _problems(connection: duck.Connection, batch: list[Numbered], wanted: list[str]) -> list[str]:
    """Say of each line why it holds no row, or nothing where it does."""
    texts = [None if isinstance(line, CutLine) else _decoded(line) for _, _, line in batch]
    keys = "json_keys(text)"
    found = _query(
        connection,
        texts,
        "SELECT CASE WHEN json_valid(text) THEN json_type(text) END AS type, CASE WHEN json_valid(text) "
        f"AND len({keys}) > len(list_distinct({keys})) THEN {keys} END AS keys FROM lines_of_text",
    )
    # A line that is null alone is a row of nulls, as DuckDB takes it.
    whole = pc.is_in(found["type"], pa.array(["OBJECT", "NULL"])).to_pylist()
    problems = []
    for (_, _, line), text, holds_row, several in zip(batch, texts, whole, found["keys"].to_pylist(), strict=True):
        twice = [key for key, times in Counter(several or ()).items() if times > 1 and key in wanted]
        if holds_row and not twice:
            problems.append("")
        elif text is None and not isinstance(line, CutLine):
            problems.append(NOT_UTF8)
        else:
            problem = f"key {twice[0]!r} stands twice" if twice else json_problem(line)
            problems.append(f"malformed_json: {problem}")
    return problems


def _values(connection: duck.Connection, lines: list[bytes], names: list[str], wanted: list[str]) -> pa.Table:
    """Read the values of objects as texts, those of wanted names such as `user.id` from nested ones too."""
    structure = duck.text(json.dumps(dict.fromkeys(names, "VARCHAR")))
    table = f"(SELECT row.* FROM (SELECT from_json(text, {structure}) AS row FROM lines_of_text))"
    query = f"SELECT * FROM {with_nested(table, names, wanted)}"
    return _query(connection, [line.decode() for line in lines], query)


def _query(connection: duck.Connection, texts: list[str | None] | list[str], query: str) -> pa.Table:
    """Answer a query over `lines_of_text`, a table of these texts, in their order."""
    connection.register("lines_of_text", pa.table({"text": pa.array(texts, pa.string())}))
    try:
        return connection.sql(query).to_arrow_table()
    finally:
        connection.unregister("lines_of_text")


def _decoded(line: bytes) -> str | None:
    """Return a line as text, None where it isn't UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None
