"""Rules of files whose names don't say what they hold: their bytes do, or they say what they look like."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
import zlib

import pyarrow as pa
import pytest

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.landing.json_rows import needs_splitting, one_object_a_line
from ctr_retrain.tasks.reading import read_stream
from tests.conftest import encoded
from tests.support.counts import draws
from tests.support.landed_day import clean, clean_files, impression


def lettered(letter, **changes):
    return impression(letter, campaign_id=letter, **changes)


ROWS = [lettered("a"), lettered("b", device='é{}[],"\\'), lettered("c", bid="1.5", more={"x": [1, {"y": "}"}]})]
JSON, PARQUET = encoded(ROWS, "a.jsonl"), encoded(ROWS[:2], "a.parquet")
CSV = encoded([lettered("a"), lettered("b", device='ü, "x"')], "a.csv")
OBJECTS = [json.dumps(row).encode() for row in ROWS]


def zstd(content):
    return pa.compress(content, codec="zstd", asbytes=True)


READ = {
    "gzip under a plain name": ("a.jsonl", gzip.compress(JSON), 3),
    "gzip without an ending": ("part-00000", gzip.compress(CSV), 2),
    "gzip within gzip": ("a.jsonl.gz", gzip.compress(gzip.compress(JSON)), 3),
    "gzip within zstd": ("a.csv", zstd(gzip.compress(CSV)), 2),
    "zlib": ("a.jsonl", zlib.compress(JSON), 3),
    "zlib, fastest": ("a.csv", zlib.compress(CSV, 1), 2),
    "zstd under a plain name": ("a.csv", zstd(CSV), 2),
    "zstd under the name of gzip": ("a.jsonl.gz", zstd(JSON), 3),
    "plain under the name of gzip": ("a.jsonl.gz", JSON, 3),
    "plain under the name of zstd": ("a.csv.zst", CSV, 2),
    "Parquet under the name of JSON": ("a.jsonl", PARQUET, 2),
    "Parquet without an ending": ("a", PARQUET, 2),
    "Parquet packed": ("a.parquet.gz", gzip.compress(PARQUET), 2),
    "JSON under the name of CSV": ("a.csv", JSON, 3),
    "JSON under the name of Parquet": ("a.parquet", JSON, 3),
    "an upper-case ending": ("A.JSONL", JSON, 3),
    "an upper-case ending, packed": ("A.CSV.GZ", gzip.compress(CSV), 2),
    "no ending": ("events", JSON, 3),
    "an unknown ending": ("events.log", CSV, 2),
    "tabs without an ending": ("events", encoded([lettered("a"), lettered("b")], "a.csv").replace(b",", b"\t"), 2),
    "a byte order mark": ("a.jsonl", b"\xef\xbb\xbf" + JSON, 3),
    "UTF-16, little end first": ("a.jsonl", JSON.decode().encode("utf-16-le"), 3),
    "UTF-16 with its mark": ("a.csv", CSV.decode().encode("utf-16"), 2),
    "UTF-16, big end first, with its mark": ("a.csv", b"\xfe\xff" + CSV.decode().encode("utf-16-be"), 2),
    "UTF-32": ("a.jsonl", JSON.decode().encode("utf-32"), 3),
    "an array": ("a.json", b"[" + b",".join(OBJECTS) + b"]", 3),
    "an array over lines": ("a.json", json.dumps([json.loads(line) for line in OBJECTS], indent=2).encode(), 3),
    "an array, an object a line": ("a.json", b"[\n" + b",\n".join(OBJECTS) + b"\n]\n", 3),
    "an array packed": ("a.json.gz", gzip.compress(b" [ " + b" , ".join(OBJECTS) + b" ] "), 3),
    "objects joined": ("a.json", b"".join(OBJECTS), 3),
    "objects joined by commas": ("a.json", b",".join(OBJECTS), 3),
    "objects over lines": ("a.json", b"\n".join(json.dumps(row, indent=1).encode() for row in ROWS), 3),
    "objects joined by carriage returns": ("a.json", b"\r".join(OBJECTS), 3),
    "two objects on a line": ("a.jsonl", OBJECTS[0] + OBJECTS[1] + b"\n" + OBJECTS[2] + b"\n", 3),
    "two objects on the second line": ("a.jsonl", OBJECTS[2] + b"\n" + OBJECTS[0] + b" " + OBJECTS[1], 3),
}


def files_of(cases):
    """Files of all cases, name → content: a number in front tells them apart, and the ending stays."""
    return {f"{number}-{name}": content for number, (name, content, _) in enumerate(cases.values())}


@pytest.fixture(scope="module", params=draws(["alone"], ["alone", "together"]))
def read_day(request, tmp_path_factory, tiny_recipe, day):
    """A day of all files that can be read; their rows are known by file and number, since their ids are the same."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "alone":
            patched.setattr(read_stream, "SMALL_BYTES", -1)
        recipe = tiny_recipe(landing={"event_id_from": "file_row"})
        return clean_files(tmp_path_factory.mktemp("read"), recipe, day, files_of(READ))


@pytest.mark.parametrize("case", READ)
def test_a_file_is_read_by_what_its_bytes_are(read_day, day, case):
    name, rows = list(files_of(READ))[list(READ).index(case)], READ[case][2]
    assert f"impressions/{name}" not in read_day.unreadable
    assert [row for row in read_day.quarantined if row["file"] == name] == []
    kept = [row["campaign_id"] for row in read_day.rows if row["event_id"].startswith(f"{day}/{name}:")]
    assert sorted(kept) == list("abc"[:rows])


def test_no_file_that_is_read_by_its_bytes_adds_another_row(read_day):
    rows = sum(rows for _, _, rows in READ.values())
    assert read_day.impressions == Counts(received=rows, kept=rows, duplicates=0, quarantined=0)


def zipped():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.jsonl", JSON)
    return archive.getvalue()


REFUSED = {
    "ZIP": ("a.jsonl", zipped(), "a ZIP archive: unpack it"),
    "bzip2": ("a.jsonl", bz2.compress(JSON), "bzip2: pack it with gzip or zstd"),
    "xz": ("a.csv", lzma.compress(CSV), "xz: pack it with"),
    "Avro": ("a", b"Obj\x01\x04\x16avro.schema", "Avro: convert it to JSON lines"),
    "an error page": ("a.jsonl", b"\n<!DOCTYPE html><html>502 Bad Gateway</html>", "a web page, such as a"),
    "an error page, packed": ("a.csv.gz", gzip.compress(b"<html>no</html>"), "a web page"),
    "an error message": ("a.csv", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML, such as a"),
    "CSV under the name of JSON": ("a.jsonl", CSV, "expected JSON objects, received text that begins 'event_id,ts,"),
    "text": ("README", b"Read me first.\n", "expected Parquet, JSON objects, or CSV or TSV with a line"),
    "binary": ("a.bin", bytes(range(256)) * 8, "expected Parquet, JSON objects, or CSV or TSV"),
    "binary CSV": ("a.csv", b"event_id,\0\1\2,ts\n\0\0\n", "expected a line of column names, received binary data"),
    "nothing": ("a.csv", b"", "expected a line of column names, received none"),
    "line ends of CR": ("a.csv", CSV.replace(b"\r\n", b"\r"), "received CR alone: convert it"),
    "an open quote": ("a.csv", b'event_id,"ts,user_id\n' + CSV, "received one whose quotes don't close"),
    "an open quote at the end": ("a.csv", b'event_id,ts,"', "received one whose quotes don't close"),
    "a long header": ("a.csv", b"x" * 2 * 2**20 + b"\n1\n", "received a first line of more than 1 MiB"),
    "a long column name": ("a.csv", b"x" * 140_000 + b",ts\n1,2\n", "column missing: expected event_id"),
    "a row without a header": ("a.csv", CSV.split(b"\r\n")[1] + b"\r\n", "column missing: expected event_id, ts"),
    "a header that lacks columns": ("a.csv", b"event_id,ts\n", "column missing: expected channel, user_id"),
    "names of other bytes": ("a.csv", b"event_id,t\xff\n1,2\n", "expected column names in UTF-8"),
    "a torn zlib stream": ("a.jsonl", zlib.compress(JSON)[:-20], "ended before the end of its zlib stream"),
    "zlib and more": ("a.jsonl", zlib.compress(JSON) + b"more", "other bytes stand behind the end of its zlib stream"),
    "torn UTF-16": ("a.jsonl", JSON.decode().encode("utf-16")[:-1], "truncated data"),
    "a torn array": ("a.json", b"[" + b",".join(OBJECTS), "ended within a JSON array"),
    "a torn object": ("a.json", b"[" + b",".join(OBJECTS)[:-9], "ended within a JSON object"),
    "a torn gzip within gzip": ("a.gz", gzip.compress(gzip.compress(JSON))[:-12], "end"),
}


@pytest.fixture(scope="module")
def refused_day(tmp_path_factory, tiny_recipe, day):
    """A day of all files that can't be read, beside a good one."""
    files = files_of(REFUSED) | {"good.jsonl": encoded([impression("good")], "good.jsonl")}
    return clean_files(tmp_path_factory.mktemp("refused"), tiny_recipe(), day, files)


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_can_not_be_read_is_one_that_says_what_it_looks_like(refused_day, case):
    name = list(files_of(REFUSED))[list(REFUSED).index(case)]
    assert REFUSED[case][2] in refused_day.unreadable[f"impressions/{name}"]


def test_files_that_can_not_be_read_stand_beside_the_rows_of_the_others(refused_day):
    assert refused_day.unreadable.keys() == {f"impressions/{name}" for name in files_of(REFUSED)}
    assert "good" in {row["event_id"] for row in refused_day.rows}
    assert refused_day.impressions.conserved


def test_a_day_of_a_single_refused_file_is_rejected_by_its_name(landing, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [], "a.zip").write_bytes(zipped())
    with pytest.raises(DataRejectedError, match=r"received 1 unreadable; a.zip: expected .* looks like a ZIP archive"):
        clean(landing, tiny_recipe(), day)


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 10**6])
@pytest.mark.parametrize("layout", [b"[%s]", b" [\n%s\n]\n", b"%s"])
@pytest.mark.parametrize("joint", [b",", b"", b"\n", b" ,\r\n "])
def test_only_what_stands_between_objects_goes_wherever_blocks_end(block_bytes, layout, joint):
    text = layout % joint.join(OBJECTS)
    blocks = (text[at : at + block_bytes] for at in range(0, len(text), block_bytes))
    assert b"".join(one_object_a_line(blocks)).splitlines() == OBJECTS


def test_a_text_of_lines_is_never_split_for_a_malformed_one():
    for first in (b'{"a": "x', b'{"a":', b'{"a": 1}}', b"x", b'{"a": 1,}', b"[1, 2]"):
        assert not needs_splitting(first + b"\n" + JSON)
