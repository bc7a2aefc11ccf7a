"""Rules of docs/landing.md's table of values: each of its examples becomes what the page says, in ingest itself."""

import json
import re

import pytest

from tests.support.landed_day import impression, ingest, rows_of
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


@pytest.fixture
def became(store, landing, land_rows, tiny_recipe, day, now):
    """Ingest rows, each with one odd value; answers what stands in the column, or that the row was quarantined."""

    def run(kind, values):
        column = {"time": "ts", "label": "clicked"}.get(kind, OURS[kind])
        good = {key: value for key, value in impression("x", clicked="0", tags="a").items() if key != column}
        rows = [
            f'{json.dumps({**good, "event_id": f"{n:03}"})[:-1]}, "{column}": {value}}}'
            for n, value in enumerate(values)
        ]
        plain = json.dumps(impression("good", clicked="0", tags="a"))
        land_rows("impressions", day, [], "a.jsonl").write_text("\n".join([*rows, plain]) + "\n", encoding="utf-8")
        ingest(store, landing, tiny_recipe(**RULES), day, now)
        kept = {row["event_id"]: row[OURS[kind]] for row in rows_of(store, day, "impressions")}
        return [shown(kept[key]) if (key := f"{n:03}") in kept else QUARANTINED for n in range(len(values))]

    return run


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
def test_each_value_becomes_what_the_page_says(became, kind):
    values = [value for value, _ in ROWS]
    found = dict(zip(values, became(kind, values), strict=True))
    assert found == {value: becomes[kind] for value, becomes in ROWS}
