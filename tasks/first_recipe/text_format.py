"""The form of a text file by its first block: encoding, delimiter, and if its first line holds names."""

from __future__ import annotations

import csv
import io
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.first_recipe.column_look import NOTHING, NUMBER
from ctr_retrain.models.first_recipe.known_headers import known_header
from ctr_retrain.models.first_recipe.time_look import look_for_time
from ctr_retrain.tasks.landing.containers import HEAD_BYTES, PARQUET, decoded, encoding_of, packing_of
from ctr_retrain.tasks.landing.csv_records import DELIMITERS
from ctr_retrain.tasks.landing.text_blocks import JSON, first_block, form_of

if TYPE_CHECKING:
    from pathlib import Path

LOOKED_AT_BYTES = 1 << 18  # of the file's beginning
MOST_RECORDS = 200  # that a delimiter is tried on


def csv_delimiter(path: Path) -> str:
    """Return the delimiter that the recipe has to name for a file; empty for the usual ones, and where there is none.

    Raises DataRejectedError, with what to type, for CSV that `land` can't read: in another encoding than UTF, or
    without a line of names.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    packing = packing_of(head)
    block = first_block(path, packing)
    forms = {form_of(path.name, block, delimiter)[0] for delimiter in DELIMITERS}
    if forms == {None} or JSON in forms or block.startswith(PARQUET):
        return ""  # read without a delimiter, or refused by the reader with its own words
    text = _first_text(path, block, packing)
    delimiter = _delimiter_of(text)
    form, _ = form_of(path.name, block)
    expected = form.delimiter if form else ","
    records = list(csv.reader(io.StringIO(text), delimiter=delimiter))[:MOST_RECORDS]
    if len(records) > 1 and not _are_names(records[0]):
        raise DataRejectedError(_no_names(path, records[0], delimiter, packing))
    return "" if delimiter == expected else delimiter


def _no_names(path: Path, record: list[str], delimiter: str, packing: str) -> str:
    """Say how a file gets a line of names; of a form that is known, those that its makers use."""
    names = known_header(len(record)) or [f"column{number}" for number in range(1, len(record) + 1)]
    line = shlex.quote(delimiter.join(names))
    target = f"named-{path.name.partition('.')[0]}.{'tsv' if delimiter == chr(9) else 'csv'}"
    known = "" if known_header(len(record)) else " Better names than these make a better recipe."
    return (
        f"init {path}: expected the columns' names in the first line, received a row: {record[:5]}. Put a line of "
        f"names before it: (echo {line}; {_printed(path, packing)}) > {target}{known}"
    )


def _printed(path: Path, packing: str) -> str:
    """Return the command that prints a file's text."""
    unpack = {"gzip": "gzip -dc <", "zstd": "zstd -dc <", "zlib": "zlib-flate -uncompress <"}
    return f"{unpack.get(packing, 'cat')} {shlex.quote(path.name)}"


def _first_text(path: Path, block: bytes, packing: str) -> str:
    """Return the whole lines of a file's first block; raises DataRejectedError where it is no UTF."""
    encoding, mark = encoding_of(block)
    # A character that the block's end cuts in two would look like another encoding.
    plain = next(decoded(iter([block[:LOOKED_AT_BYTES]]), encoding, mark), b"")
    whole = plain.rpartition(b"\n")[0] or plain
    try:
        return whole.decode()
    except UnicodeDecodeError as error:
        raise DataRejectedError(_not_utf8(path, "WINDOWS-1252", packing)) from error


def _not_utf8(path: Path, looks_like: str, packing: str) -> str:
    """Say how a file in another encoding becomes one in UTF-8."""
    target = shlex.quote(f"utf8-{path.name.partition('.')[0]}.{'tsv' if '.tsv' in path.name.lower() else 'csv'}")
    return (
        f"init {path}: expected UTF-8, received what looks like {looks_like}. Convert it first: "
        f"{_printed(path, packing)} | iconv -f {looks_like} -t UTF-8 > {target}"
    )


def _delimiter_of(text: str) -> str:
    """Return the delimiter by which most records have as many fields as the first, and more than one."""
    best, most = ",", (0, 0)
    for delimiter in DELIMITERS:
        widths = [len(record) for record in csv.reader(io.StringIO(text), delimiter=delimiter) if record]
        widths = widths[:MOST_RECORDS]
        if not widths or widths[0] < 2:
            continue
        # In twentieths, so that one odd line among two hundred decides nothing.
        agreeing = round(20 * Counter(widths)[widths[0]] / len(widths))
        if (agreeing, widths[0]) > most:
            best, most = delimiter, (agreeing, widths[0])
    return best


def _are_names(record: list[str]) -> bool:
    """Tell whether a record holds names: each another, and none empty, a number or a time."""
    fields = [field.strip() for field in record]
    plain = [field for field in fields if field.lower() not in NOTHING]
    different = len({field.lower() for field in plain}) == len(fields)
    return different and not any(NUMBER["."].fullmatch(field) or look_for_time([field]) for field in fields)
