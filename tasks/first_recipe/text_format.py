"""The form of a text file by its first block: encoding, delimiter, and if its first line holds names."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.first_recipe.column_look import NOTHING, NUMBER
from ctr_retrain.models.first_recipe.time_look import look_for_time
from ctr_retrain.tasks.landing.containers import HEAD_BYTES, PARQUET, decoded, encoding_of, packing_of
from ctr_retrain.tasks.landing.csv_records import DELIMITERS
from ctr_retrain.tasks.landing.text_blocks import JSON, first_block, form_of

if TYPE_CHECKING:
    from pathlib import Path

LOOKED_AT_BYTES = 1 << 18  # of the file's beginning
MOST_RECORDS = 200  # that a delimiter is tried on


def check_csv_format(path: Path) -> None:
    """Look at a file's beginning; raises DataRejectedError, with what to type, for CSV that `land` can't read.

    So it is with other encodings than UTF, other delimiters than comma or tab, and no line of names.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    block = first_block(path, packing_of(head))
    forms = {form_of(path.name, block, delimiter)[0] for delimiter in DELIMITERS}
    if forms == {None} or JSON in forms or block.startswith(PARQUET):
        return  # read without a delimiter, or refused by the reader with its own words
    text = _first_text(path, block)
    delimiter = _delimiter_of(text)
    form, _ = form_of(path.name, block)
    expected = form.delimiter if form else ","
    if delimiter != expected:
        raise DataRejectedError(_other_delimiter(path, delimiter, expected))
    records = list(csv.reader(io.StringIO(text), delimiter=delimiter))[:MOST_RECORDS]
    if len(records) > 1 and not _are_names(records[0]):
        msg = (
            f"init {path}: expected the columns' names in the first line, received a row: {records[0][:5]}. Put a line "
            f"with {len(records[0])} names, {'tabs' if delimiter == chr(9) else repr(delimiter)} between them, before "
            f"it: cat NAMES {path.name} > NEW{path.suffix}"
        )
        raise DataRejectedError(msg)


def _first_text(path: Path, block: bytes) -> str:
    """Return the whole lines of a file's first block; raises DataRejectedError where it is no UTF."""
    encoding, mark = encoding_of(block)
    # A character that the block's end cuts in two would look like another encoding.
    plain = next(decoded(iter([block[:LOOKED_AT_BYTES]]), encoding, mark), b"")
    whole = plain.rpartition(b"\n")[0] or plain
    try:
        return whole.decode()
    except UnicodeDecodeError as error:
        raise DataRejectedError(_not_utf8(path, "WINDOWS-1252")) from error


def _not_utf8(path: Path, looks_like: str) -> str:
    """Say how a file in another encoding becomes one in UTF-8."""
    return (
        f"init {path}: expected UTF-8, received what looks like {looks_like}. Convert it first: "
        f"iconv -f {looks_like} -t UTF-8 {path.name} > utf8-{path.name}"
    )


def _other_delimiter(path: Path, received: str, expected: str) -> str:
    """Say how a file becomes one with the delimiter that its ending promises."""
    convert = f"csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, delimiter={received!r}))"
    return (
        f"init {path}: expected {'tabs' if expected == chr(9) else 'commas'} between the fields, received what looks "
        f"like {received!r}. Convert it first: "
        f'python -c "import csv, sys; {convert}" < {path.name} > commas-{path.stem}.csv'
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
