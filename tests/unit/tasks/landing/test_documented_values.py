"""Rules of docs/landing.md's table of values: each of its examples becomes what the page says, in ingest itself."""

import json
import re

import pytest

from tests.support.landed_day import clean_files, impression
from tests.support.repository import REPOSITORY

KINDS = ("text", "number", "time", "label", "list")
# Ours, by the kind that the table's columns say.
OURS = {"text": "device", "number": "bid", "time": "ts", "label": "label", "list": "tags"}
RULES = {
    "landing": {"columns": {"label": "clicked"}},
    "features": [
        {"name": "device", "kind": "categorical"},
        {"name": "bid", "kind": "numeric"},
        {"name": "tags", "kind": "multi_valued"},
    ],
}
QUARANTINED, NOTHING = "quarantined", "nothing"


def documented():
    """Each row of the table: the value in JSON, and by kind what it becomes; None where the page is silent."""
    page = (REPOSITORY / "docs" / "landing.md").read_text(encoding="utf-8")
    table = page.partition("| in JSON | text | number | time | label | list |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip("| "))]
        value, *becomes = (cell.strip("`") for cell in cells)
        yield value, dict(zip(KINDS, becomes, strict=True))


ROWS = list(documented())


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory, tiny_recipe, day):
    """A day with a file for each kind, each row of it with one odd value."""
    files = {}
    for kind in KINDS:
        column = {"time": "ts", "label": "clicked"}.get(kind, OURS[kind])
        good = {key: value for key, value in impression("x", clicked="0", tags="a").items() if key != column}
        rows = [
            f'{json.dumps({**good, "event_id": f"{kind}{n:03}"})[:-1]}, "{column}": {value}}}'
            for n, (value, _) in enumerate(ROWS)
        ]
        plain = json.dumps(impression(f"{kind} good", clicked="0", tags="a"))
        files[f"{kind}.jsonl"] = "".join(f"{row}\n" for row in [*rows, plain]).encode()
    return clean_files(tmp_path_factory.mktemp("values"), tiny_recipe(**RULES), day, files)


def shown(value):
    if value is None:
        return NOTHING
    return (
        value.isoformat(sep=" ")
        if hasattr(value, "isoformat")
        else f"{value:.15g}"
        if isinstance(value, float)
        else str(value)
    )


def test_the_table_is_found():
    assert len(ROWS) > 15


@pytest.mark.parametrize("kind", KINDS)
def test_each_value_becomes_what_the_page_says(cleaned, kind):
    kept = cleaned.became(OURS[kind])
    found = [shown(kept[key]) if (key := f"{kind}{n:03}") in kept else QUARANTINED for n in range(len(ROWS))]
    assert found == [becomes[kind] for _, becomes in ROWS], [value for value, _ in ROWS]
