"""Rules of a row's meaning: it is the same alone, beside a torn line, in another order and in another file."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.data.schema import impression_columns, landed_columns
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.column_rules import ORIGIN, clean_impressions, unreadable_flags
from ctr_retrain.tasks.landing.file_parts import whole_file
from ctr_retrain.tasks.landing.read_landing import Reading, read_file
from tests.support.counts import draws
from tests.support.json_values import NESTED, NUMBERS, TEXTS
from tests.support.landed_day import impression

TORN = {"jsonl": b'{"event_id":"a4","ts":"2026-0', "csv": b'a4,"2026-0'}
HEADER = "event_id,ts,user_id,channel,campaign_id,device,bid"
GOOD = ["1", "2026-03-02T10:00:00Z", "u1", "ad", "c1", "ios", "0.5"]

# --- JSON: each trait in turn as the value of the number, of the category and of the id

LINE_ENDS = ["", " ", "\t", "\r", "\f", "\v", ",", " }", "x", "\u00a0"]
KEYS = ["bid", "device", "user_id", "event_id", "ts", "channel", "other"]


@st.composite
def json_lines(draw):
    """One line, as somebody's logger may write it."""
    values = {"event_id": '"1"', "ts": '"2026-03-02T10:00:00Z"', "user_id": '"u1"', "channel": '"ad"'}
    pairs = [*(values | {"campaign_id": '"c1"', "device": '"ios"', "bid": "0.5"}).items()]
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(KEYS))
        value = draw(st.sampled_from([*NUMBERS, *TEXTS, *NESTED]))
        at = draw(st.integers(0, len(pairs)))
        if draw(st.integers(0, 4)):  # one time in five the key stands twice
            pairs = [pair for pair in pairs if pair[0] != key]
        pairs.insert(at, (key, value))
    between = draw(st.sampled_from([":", ": ", " :", ":\t"]))
    text = draw(st.sampled_from([",", ", "])).join(f'"{key}"{between}{value}' for key, value in pairs)
    text = "{" + text + draw(st.sampled_from(["}"] * 8 + [",}", "", "}}", "}\0"]))
    if not draw(st.integers(0, 9)):
        text = draw(st.sampled_from(["null", "[]", "5", '"x"', "[1, 2]", "{}", text + text, f"[{text}]", text[:-9]]))
    before, after = (draw(st.sampled_from([""] * 6 + LINE_ENDS)) for _ in range(2))
    line = f"{before}{text}{after}".encode("utf-8", "surrogatepass")
    return line.replace(b"ios", draw(st.sampled_from([b"ios"] * 9 + [b"i\xff"])))


FIELDS = [
    *("ios", "", " ", " ios", "ios ", '"ios"', '""', ' "ios"', '"ios" ', '  "i,os"  ', '"i""os"', '"""', '""""'),
    *('i"os', '"i"os', "i''s", "'ios'", "true", "1e3", "0.50", "-0", "NaN", "nan", "1,5", '"1,5"', "\t", "é", "🙂"),
    *("\\N", "NULL", "#", "\x7f", "\0", '"a\rb"', "x" * 300, '"[1, 2]"', '"{""a"": 1}"', '" x "', '","', '"open'),
]


@st.composite
def csv_lines(draw):
    """One line of CSV, as somebody's export may write it."""
    fields = list(GOOD)
    for _ in range(draw(st.integers(0, 3))):
        fields[draw(st.integers(0, 6))] = draw(st.sampled_from(FIELDS))
    fields = fields[: draw(st.sampled_from([7] * 9 + [1, 6]))]
    fields += draw(st.sampled_from([[]] * 8 + [[""], ["x"], ["", ""]]))
    line = ",".join(fields).encode() + draw(st.sampled_from([b""] * 8 + [b"\r", b" "]))
    return line.replace(b"c1", draw(st.sampled_from([b"c1"] * 9 + [b"c\xff"])))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Read a file as ingest does; answers what became of each line, by the line's number in the text."""
    from datetime import date  # noqa: PLC0415

    from ctr_retrain.models.recipe.recipe import Recipe  # noqa: PLC0415
    from tests.conftest import TINY  # noqa: PLC0415

    recipe, day = Recipe.model_validate(TINY), date(2026, 3, 2)
    columns, folder = impression_columns(recipe), tmp_path_factory.mktemp("read")
    flags = unreadable_flags(columns)
    with duck.connect(folder, threads=1) as connection:

        def read(lines, name):
            header = [HEADER.encode()] if name.endswith("csv") else []
            (folder / name).write_bytes(b"\n".join([*header, *lines]) + b"\n")
            file = read_file(
                connection, folder / name, Reading(landed_columns(recipe), folder, recipe.landing, clean_or_fail)
            )
            return rows_of_file(file)

        def query(file):
            return clean_impressions(whole_file(file), recipe, columns, day)

        def clean_or_fail(file):
            good = " AND ".join(["_reason IS NULL", *(f"{flag} = 0" for flag in flags)])
            fail = f"CASE WHEN {good} THEN true ELSE error('unusable') END"
            columns = ", ".join(["_reason", *ORIGIN, *flags])
            return f"SELECT * EXCLUDE ({columns}) FROM ({query(file)}) WHERE {fail}"  # noqa: S608

        def rows_of_file(file):
            rows = connection.execute(f"SELECT * EXCLUDE (_slice, _file, _raw) FROM ({query(file)})").fetchall()  # noqa: S608
            names = [column[0] for column in connection.description]
            found = {}
            for row in rows:
                values = dict(zip(names, row, strict=True))
                number, reason = values.pop("_row"), values.pop("_reason")
                found[number] = reason or tuple(sorted((key, repr(value)) for key, value in values.items()))
            return found | {row.row - 1: row.reason for row in file.malformed}

        yield read


def meanings(found):
    """What became of a file's rows, in whatever order they stand."""
    return Counter(found.values())


def beside(reader, good, line, end):
    """A line's own meaning: what is in a file of it and a good line that isn't in one of the good line alone."""
    own = meanings(reader([*good, line], f"beside.{end}")) - meanings(reader(good, f"good.{end}"))
    if end == "csv" or line.lstrip().startswith(b"{"):  # a file without any object is no file of JSON lines
        assert meanings(reader([line], f"alone.{end}")) == own
    return own


def unambiguous(lines):
    """Lines of CSV of which one alone leaves a quote open, or none; and whether one does.

    By CSV's own rules (RFC 4180, 2.6) such a quote closes with the next one, on whatever line that stands: what two
    lines with quotes mean together is then not what each means alone.
    """
    opened = [line for line in lines if line.count(b'"') % 2]
    if not opened:
        return lines, False
    return [opened[0], *(line for line in lines if b'"' not in line)], True


@pytest.mark.parametrize(("end", "strategy"), [("jsonl", json_lines()), ("csv", csv_lines())])
def test_a_row_means_the_same_alone_beside_a_torn_line_in_another_order_and_in_another_file(
    reader, end, strategy, record_property
):
    tried = 0
    good = [",".join(GOOD).encode() if end == "csv" else json.dumps(impression("g")).encode()]
    of_good, torn = meanings(reader(good, f"good.{end}")), beside(reader, good, TORN[end], end)
    assert sum(of_good.values()) == sum(torn.values()) == 1

    @settings(max_examples=draws(10, 1500))
    @given(st.lists(strategy, min_size=1, max_size=8))
    def check(lines):
        nonlocal tried
        lines, opened = unambiguous(lines) if end == "csv" else (lines, False)
        tried += len(lines)
        alone = sum((beside(reader, good, line, end) for line in lines), Counter())
        assert meanings(reader([*good, *lines], f"together.{end}")) == of_good + alone
        assert meanings(reader([*good, *lines[::-1]], f"reversed.{end}")) == of_good + alone
        if opened:
            return
        assert meanings(reader([*good, *lines, TORN[end]], f"torn behind.{end}")) == of_good + alone + torn
        assert meanings(reader([*good, TORN[end], *lines], f"torn before.{end}")) == of_good + alone + torn
        assert meanings(reader([*good, *lines, *lines], f"twice.{end}")) == of_good + alone + alone

    check()
    record_property("tried", f"{tried} rows of {end}, each in seven files")
