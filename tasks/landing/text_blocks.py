"""Read a landed text file as it comes: its blocks and lines, what stands in them, and whether it is whole.

Everything is bounded: a line by MAX_LINE_BYTES, the file by what the caller allows. A torn file gives its lines up to
the tear, and then says so. What is packed, in another encoding, or no text of lines is written out plain once, and
what reads it afterwards reads that.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import PurePath
from typing import TYPE_CHECKING

from ctr_retrain.tasks.landing.containers import BLOCK_BYTES, Damage, decoded, encoding_of, unpacked
from ctr_retrain.tasks.landing.csv_records import DELIMITERS, CsvLayout, other_delimiter
from ctr_retrain.tasks.landing.json_rows import needs_splitting, one_object_a_line
from ctr_retrain.tasks.landing.landed_bytes import printable
from ctr_retrain.tasks.landing.parse_lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHOLE_BLOCKS = 2  # at a file's beginning, of which each line is looked at for keys that nobody expects
SAMPLED_EVERY = 8  # blocks after these, of which SAMPLED_BYTES are looked at
SAMPLED_BYTES = 1 << 16
PARSED_LINES = 500  # of which keys are looked for at once
MAX_KEYS = 1000  # of one file; beyond, a key is data and no column


@dataclass(frozen=True)
class Form:
    """The form of a text: JSON objects, or CSV."""

    delimiter: str = ""  # between the fields of CSV; none in JSON


JSON, COMMAS, TABS = Form(), Form(","), Form("\t")
PACKED_ENDINGS = (".gz", ".gzip", ".zst", ".zstd", ".zz", ".z")
FORMS = {".jsonl": JSON, ".ndjson": JSON, ".json": JSON, ".csv": COMMAS, ".tsv": TABS}
TOLD = 80  # characters of a text that is none of these


@dataclass
class Look:
    """The findings of one pass over a text file."""

    plain: Path  # where it stands as plain UTF-8 with a row a line: the file itself, if it is so
    form: Form
    head: bytes = b""  # of CSV, its first line that is not blank, as far as it stands in the first block
    keys: dict[str, None] = field(default_factory=dict)  # of JSON objects, as far as lines were looked at
    rows: int = 0  # lines that are not blank, a header of CSV among them
    one_reading: bool = True  # each reader reads the same in it, so that the fast one may
    damage: str = ""  # the error at which reading ended, if it did not reach the end
    too_large: bool = False  # unpacked, it is larger than allowed


def form_of(name: str, beginning: bytes, delimiter: str = "") -> tuple[Form | None, str]:
    """Return a text's form by its first block and its name, or None and what is wrong with it.

    An object at its beginning is JSON whatever the file is called; of other texts the name tells, in any case, and
    where it says nothing, or its line of column names has the other delimiter alone, that line. delimiter: of CSV, as
    the recipe names it; empty: comma or tab.
    """
    text = next(decoded(iter([beginning]), *encoding_of(beginning)), b"").lstrip()
    ending = _ending(name)
    if text.startswith(b"{") or needs_splitting(text):
        return JSON, ""
    told = f"received text that begins {printable(text)[:TOLD]!r}" if text else "received none"
    if FORMS.get(ending) == JSON:
        if text and not any(line.lstrip().startswith(b"{") for line in text.split(b"\n")):
            return None, f"expected JSON objects, {told}"
        return JSON, ""
    first = text.partition(b"\n")[0]
    form = Form(delimiter) if delimiter else _usual_form(first, FORMS.get(ending))
    separated = any(known.encode() in first for known in (*DELIMITERS, form.delimiter))
    if ending not in FORMS and (b"\0" in first or not separated):
        return None, f"expected Parquet, JSON objects, or CSV or TSV with a line of column names, {told}"
    problem = other_delimiter(first, form.delimiter, told=bool(delimiter))
    return (None, problem) if problem else (form, "")


def _usual_form(first: bytes, named: Form | None) -> Form:
    """Return the form of CSV, by its first line and by what the file's name says, where the recipe says nothing."""
    if named and (b"," in first) == (b"\t" in first):
        return named
    return TABS if first.count(b"\t") > first.count(b",") else COMMAS


def _ending(name: str) -> str:
    """Return the ending of a file's name that tells its form, without those of its compression, in lower case."""
    path = PurePath(name.lower())
    while path.suffix in PACKED_ENDINGS:
        path = path.with_suffix("")
    return path.suffix


def look_over(path: Path, packing: str, form: Form, max_bytes: int, target: Path) -> Look:
    """Pass over a text file to its end, or to `max_bytes`, count its lines and collect the keys of some of them.

    A file that is no plain text of lines comes to stand as one at `target`; raises OSError where it can't be written
    there, or where the disk fails. Of keys, each line of the first 2 MiB is looked at, then one block of 64 KiB in
    every 8 MiB.
    """
    # isal's unpacking may lack the block before a tear, so what turns out to be damaged is read again by zlib.
    look = _look(path, packing, form, max_bytes, target, fast=True)
    return _look(path, packing, form, max_bytes, target, fast=False) if look.damage else look


def first_block(path: Path, packing: str) -> bytes:
    """Return the beginning of a file, unpacked, as far as it can be read."""
    try:
        return next(unpacked(path, packing), b"")
    except Damage:
        return b""


def _look(path: Path, packing: str, form: Form, max_bytes: int, target: Path, *, fast: bool) -> Look:
    """Pass over the file once, by its unpacked blocks, up to where it ends, tears or is too large."""
    beginning = first_block(path, packing)
    encoding, mark = encoding_of(beginning)
    split = form == JSON and needs_splitting(next(decoded(iter([beginning]), encoding, mark)))
    plain = path if not (packing or mark or split or encoding != "utf-8") else target
    look, size = Look(plain, form), 0
    survey = _Survey(look)

    def measured() -> Iterator[bytes]:
        nonlocal size
        for block in unpacked(path, packing, fast=fast):
            size += len(block)
            if size > max_bytes:
                look.too_large = True
                return
            yield block

    source = decoded(measured(), encoding, mark)
    source = one_object_a_line(source) if split else source
    with ExitStack() as stack:
        writing = stack.enter_context(target.open("wb")) if plain == target else None
        while True:
            try:
                block = next(source, None)
            except Damage as error:
                look.damage = str(error) or type(error).__name__
                break
            if block is None:
                break
            if writing:
                writing.write(block)
            survey.add(block)
    survey.end()
    return look


class _Survey:
    """The lines of a text while it passes by, block by block, noted in a Look."""

    def __init__(self, look: Look) -> None:
        """Begin a text."""
        self._look, self._blocks, self._rest, self._length = look, 0, b"", 0
        self._csv = CsvLayout(look.form.delimiter) if look.form.delimiter else None

    def add(self, block: bytes) -> None:
        """Note what a block holds."""
        look, lines = self._look, block.split(b"\n")
        if len(look.head) < BLOCK_BYTES:
            look.head += block
        self._length += len(lines[0])
        # A line that lies within one block is short enough; one that began before it may not be.
        look.one_reading &= self._length <= MAX_LINE_BYTES
        if self._csv:
            self._csv.add(block)
        else:
            self._note_keys(lines, block)
        if len(lines) > 1:
            lines[0] = self._rest + lines[0]
            look.rows += self._filled(lines[:-1])
            self._rest, self._length = b"", len(lines[-1])
        # Of a line that goes on, it is enough to know if anything but blanks stands in it.
        self._rest = self._rest if self._filled([self._rest]) else self._rest + lines[-1]
        self._blocks += 1

    def end(self) -> None:
        """Note the last line, which need not have an end; that at which a file is torn is no row yet."""
        look = self._look
        look.head = _first_line(look.head) if self._csv else b""
        look.rows += 0 if look.damage else self._filled([self._rest])
        look.one_reading &= not look.damage and (self._csv is None or self._csv.one_reading)

    def _filled(self, lines: list[bytes]) -> int:
        """Count the lines that are not blank. In CSV a blank is a value: only a line without any is blank."""
        blank = lines.count(b"\r") if self._csv else sum(map(bytes.isspace, lines))
        return len(lines) - lines.count(b"") - blank

    def _note_keys(self, lines: list[bytes], block: bytes) -> None:
        """Note the keys of the lines that are JSON objects; whoever reads the rows finds lines that are none."""
        if self._blocks >= WHOLE_BLOCKS:
            sampled = self._blocks % SAMPLED_EVERY == 0
            lines = block[:SAMPLED_BYTES].split(b"\n")[1:-1] if sampled else []
        elif self._rest:
            lines = [self._rest + lines[0], *lines[1:]]
        keys = self._look.keys
        for first in range(0, len(lines), PARSED_LINES):
            rows = [row for row in _values_of(lines[first : first + PARSED_LINES]) if isinstance(row, dict)]
            found = keys | dict.fromkeys(chain.from_iterable(rows))
            if len(found) <= MAX_KEYS:
                keys.update(found)
                continue
            keys.update(dict.fromkeys(islice(found, MAX_KEYS)))


def _first_line(head: bytes) -> bytes:
    """Return the first line that is not blank with its end, behind a line end where blank lines stand before it.

    Of a hundred thousand small files their first blocks would be all that they hold.
    """
    line, ended, _ = head.lstrip(b"\r\n").partition(b"\n")
    return (b"\n" if head.startswith((b"\r", b"\n")) else b"") + line + ended


def _values_of(lines: list[bytes]) -> list[object]:
    """Return the JSON values that stand in lines, as far as they can be read."""
    # Parsed at once, lines take a third of the time; one that is malformed makes that fail.
    with suppress(ValueError, RecursionError):
        found: list[object] = json.loads(b"[%b]" % b",".join(filter(None, lines)))
        return found
    found = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            found.append(json.loads(line))
    return found
