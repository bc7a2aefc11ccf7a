"""Rules of CSV's delimiter: by the recipe, else comma or tab; a file that looks like another one says which."""

import csv
import io
import json

import pytest
from pydantic import ValidationError

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file
from ctr_retrain.tasks.reading import read_stream
from tests.support.landed_day import clean, clean_files, impression

ROWS = [
    impression("a", bid="1,5", device='x;y|z,~\t"\x01"'),
    impression("b", bid="0,25", device=" ios"),
    impression("c", bid="", device="ü"),
]
VALUES = [(1.5, ROWS[0]["device"]), (0.25, " ios"), (None, "ü")]


def written(rows, delimiter):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@pytest.fixture
def clean_text(landing, land_rows, tiny_recipe, day):
    """Land one text and clean it by the recipe's delimiter; answers what became of its rows."""

    def run(content, name="a.csv", **rules):
        land_rows("impressions", day, [], name).write_bytes(content)
        return clean(landing, tiny_recipe(landing=rules), day)

    return run


@pytest.fixture
def values_of(clean_text):
    """Land one text and clean it by the recipe's delimiter; answers the kept rows' numbers and texts."""

    def run(content, name="a.csv", **rules):
        return [(row["bid"], row["device"]) for row in clean_text(content, name, **rules).rows]

    return run


@pytest.mark.parametrize("delimiter", [";", "|", "\t", ",", "~", "\x01"])
def test_fields_stand_between_the_recipes_delimiters(tmp_path, tiny_recipe, day, monkeypatch, delimiter):
    monkeypatch.setattr(read_stream, "SMALL_BYTES", -1)  # each file is read by itself
    names = ["a.csv", "A.TSV", "part-00000"]
    files = {name: written([row | {"campaign_id": name} for row in ROWS], delimiter) for name in names}
    rules = {"delimiter": delimiter, "decimal": ",", "event_id_columns": ["event_id", "campaign_id"]}
    found = clean_files(tmp_path, tiny_recipe(landing=rules), day, files)
    for name in names:
        assert [(row["bid"], row["device"]) for row in found.rows if row["campaign_id"] == name] == VALUES, name


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_a_row_means_the_same_beside_a_malformed_one(clean_text, delimiter):
    content = written(ROWS, delimiter) + delimiter.join(("d", "2026", "more\r\n")).encode()
    found = clean_text(content, delimiter=delimiter, decimal=",")
    assert [(row["bid"], row["device"]) for row in found.rows] == VALUES
    assert [row["reason"] for row in found.quarantined] == ["malformed_csv: expected 7 fields, received 3"]


@pytest.mark.parametrize(
    ("received", "recipe", "says"),
    [
        (";", "", "expected ',' between the column names, received a first line that looks like ';': event_id;ts;"),
        (
            "|",
            "",
            """looks like '|': event_id|ts|user_id|channel|campaign_id|device|bid. Set landing.delimiter = "|\"""",
        ),
        (
            ",",
            ";",
            """expected ';' between the column names, received a first line that looks like ',': event_id,ts,""",
        ),
        ("\t", "|", """looks like a tab: event_id\\tts\\tuser_id"""),
        (";", "\t", """expected a tab between the column names, received a first line that looks like ';'"""),
    ],
)
def test_a_file_with_another_delimiter_says_which_it_looks_like(tmp_path, tiny_recipe, day, received, recipe, says):
    files = dict.fromkeys(["a.csv", "part-00000"], written(ROWS, received))
    with pytest.raises(DataRejectedError) as caught:
        clean_files(tmp_path, tiny_recipe(landing={"delimiter": recipe}), day, files)
    reasons = caught.value.details["unreadable"]
    assert reasons.keys() == files.keys()
    for reason in reasons.values():
        assert says in reason
        assert f"Set landing.delimiter = {json.dumps(received)}" in reason


def test_a_delimiter_that_is_named_counts_though_the_names_hold_more_of_another(values_of):
    rows = [row | {"a;b;c": "1", "d;e;f;g;k;l;m;n": "2", "h;i;j": ""} for row in ROWS]
    with pytest.raises(DataRejectedError) as caught:
        values_of(written(rows, ","), decimal=",")
    (reason,) = caught.value.details["unreadable"].values()
    assert reason.endswith("""Set landing.delimiter = ";", or "," if that is what separates them""")
    assert values_of(written(rows, ","), delimiter=",", decimal=",") == VALUES


def test_a_delimiter_within_a_quoted_name_is_part_of_it(values_of):
    content = written(ROWS, ",").replace(b"bid", b'bid,"a;b;c;d;e;f;g;h;i"', 1)
    assert values_of(content.replace(b"\r\n", b",\r\n").replace(b'i",\r', b'i"\r'), decimal=",") == VALUES


def test_land_reads_the_recipes_delimiter_too(tmp_path, landing, tiny_recipe, day):
    source = tmp_path / "export.csv"
    source.write_bytes(written(ROWS, ";"))
    answer = land_file(source, tiny_recipe(landing={"delimiter": ";"}), LocalLandingZone(landing))
    assert answer.rows == {day: 3}
    with pytest.raises(DataRejectedError, match="looks like ';'"):
        land_file(source, tiny_recipe(), LocalLandingZone(landing))


@pytest.mark.parametrize("delimiter", ["ab", ";;", '"', "'", "a", "1", ".", "-", ":", " ", "\n", "\r", "\0", "{", "é"])
def test_what_stands_in_values_or_around_them_is_no_delimiter(tiny_recipe, delimiter):
    with pytest.raises(ValidationError, match="expected one character such as"):
        tiny_recipe(landing={"delimiter": delimiter})
