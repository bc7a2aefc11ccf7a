"""Rules of files that nobody wrote so: cut, flipped, joined, renamed, re-encoded. Each byte is accounted for."""

import contextlib
import gzip
import io
import json
import zlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.outside_text import shown
from ctr_retrain.tasks.landing.containers import encoding_of, packing_of
from ctr_retrain.tasks.landing.json_rows import ObjectSplitter, needs_splitting, objects_of_line
from tests.conftest import encoded
from tests.support.counts import draws
from tests.support.landed_day import impression, ingest

INPUTS = draws(40, 2000)
ROWS = [
    *(impression(f"e{number}", bid=f"{number / 7:.3f}", device=None if number % 3 else "ü 🙂") for number in range(9)),
    *(impression("quoted", device='a, "b"\nc'), impression("late", ts="2026-03-01T23:00:00Z"), impression("e1")),
    *(impression("never", ts="soon"), impression("nested", more={"a": [1, {"b": "}{"}]}), impression("yes", bid=True)),
]
TEXTS = [{key: json.dumps(value) if key == "more" else value for key, value in row.items()} for row in ROWS]
SEEDS = {
    "jsonl": encoded(ROWS, "a.jsonl"),
    "json": json.dumps(ROWS, indent=1).encode(),
    "csv": encoded(TEXTS, "a.csv"),
    "tsv": "\n".join(map("\t".join, ([*ROWS[0]], *([*map(str, row.values())] for row in ROWS[:9])))).encode(),
    "parquet": encoded([{key: str(value) for key, value in row.items()} for row in ROWS], "a.parquet"),
}
PACKINGS = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
    ".zz": zlib.compress,
}
NAMES = [
    "a.jsonl",
    "a.json",
    "a.csv",
    "a.tsv",
    "a.parquet",
    "a",
    "A.CSV",
    "a.log",
    "b/a.ndjson",
    "a.csv.gz",
    "a.jsonl.zst",
]
INSERTED = [
    b'"',
    b"\n",
    b"\r",
    b"\0",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"\\",
    b"\xff",
    b"\xef\xbb\xbf",
    b"<",
    b"\f",
    b"}{",
    b'""',
]
SEEN_AS_CODE = ("Traceback", "<ctr_retrain", "object at 0x", "NoneType", "KeyError", "TypeError")


def spoilt(draw, content):  # noqa: PLR0911 - an accident each
    """The bytes after one accident."""
    at, to = sorted(int(draw.integers(0, len(content) + 1)) for _ in range(2))
    accident = draw.integers(0, 9)
    if accident == 0:
        return content[:at]
    if accident == 1:
        return content[at:]
    if accident == 2:
        return content[:at] + content[to:]
    if accident == 3:
        return content[:to] + content[at:]
    if accident == 4 and content:
        flipped = bytearray(content)
        for place in draw.integers(0, len(content), 1 + int(draw.integers(0, 4))):
            flipped[place] ^= 1 << int(draw.integers(0, 8))
        return bytes(flipped)
    if accident == 5:
        return content[:at] + INSERTED[draw.integers(0, len(INSERTED))] + content[at:]
    if accident == 6:
        return content.replace(b"\n", [b"\r\n", b"\r", b"", b"\n\n"][draw.integers(0, 4)])
    if accident == 7:
        encoding = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1"][draw.integers(0, 6)]
        return content.decode("latin-1").encode(encoding)
    return content + SEEDS[list(SEEDS)[draw.integers(0, len(SEEDS))]]


def fuzzed(number):
    """A file's name and bytes, the same for each number."""
    draw = np.random.default_rng(number)
    content = SEEDS[list(SEEDS)[number % len(SEEDS)]]
    for _ in range(draw.integers(0, 3)):
        content = spoilt(draw, content)
    content = PACKINGS[list(PACKINGS)[draw.integers(0, len(PACKINGS))]](content)
    content = spoilt(draw, content) if draw.integers(0, 3) == 0 else content
    return NAMES[draw.integers(0, len(NAMES))], content


def plain(content):
    """The text within, None where it can't be unpacked to its end or is no text."""
    for _ in range(4):
        unpack = {b"\x1f": gzip.decompress, b"x": zlib.decompress, b"(": unzstd}.get(content[:1])
        if not unpack or not packing_of(content[:512]):
            break
        try:
            content = unpack(content)
        except (OSError, EOFError, zlib.error, pa.ArrowException):
            return None
    encoding, mark = encoding_of(content)
    try:
        return content[mark:].decode(encoding).encode() if encoding != "utf-8" else content[mark:]
    except UnicodeError:
        return None


def unzstd(content):
    return pa.input_stream(pa.BufferReader(content), compression="zstd").read()


def assert_bytes_add_up(found, content, number):
    """Each line of a file is a header, a blank, or belongs to a row; of Parquet the footer says how many there are."""
    text, received = plain(content), found.impressions.received
    if text is None:
        return
    if text.startswith(b"PAR1"):
        with contextlib.suppress(OSError, pa.ArrowException):  # which Arrow can't read, and DuckDB can
            rows = pq.read_metadata(io.BytesIO(text)).num_rows
            assert received == rows, number
    elif text.lstrip().startswith((b"{", b"[")):
        lines = [line for line in text.split(b"\n") if line.strip()]
        if needs_splitting(text):
            assert received >= len(ObjectSplitter().split(text)), number
        else:
            assert len(lines) <= received <= sum(len(objects_of_line(line.strip())) for line in lines), number
    elif b'"' not in text:
        lines = [line for line in text.split(b"\n") if line.strip(b"\r")]
        assert received == len(lines) - 1, number


def test_whatever_lands_each_row_and_each_byte_is_accounted_for(
    store, landing, land_rows, tiny_recipe, day, now, record_property
):
    outcomes = Counter()
    for number in range(INPUTS):
        name, content = fuzzed(number)
        path = land_rows("impressions", day, [], name)
        path.write_bytes(content)
        try:
            found = ingest(store, landing, tiny_recipe(), day, now)
        except DataRejectedError as error:  # exit status 3
            outcomes["rejected"] += 1
            assert_for_people(str(error), number)
        else:
            outcomes["unreadable" if found.unreadable else "read"] += 1
            for reason in found.unreadable.values():
                assert_for_people(reason, number)
            assert found.impressions.conserved
            assert_bytes_add_up(found, content, number)
        path.unlink()
    assert outcomes["read"] >= INPUTS // 10, outcomes
    record_property("tried", f"{INPUTS} files: {dict(outcomes)}")


def assert_for_people(reason, number):
    """A reason says something, in a line, and nothing that only the program's author reads."""
    assert 10 < len(reason) < 2000, (number, reason)
    assert "\n" not in reason, (number, reason)
    assert shown(reason) == reason, (number, reason)  # nothing in it acts on a terminal
    assert not any(word in reason for word in SEEN_AS_CODE), (number, reason)
