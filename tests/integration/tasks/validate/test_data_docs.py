"""Rules of the page that a validation leaves: it holds all that was found, and no value of the data breaks into it."""

import json
import re

import pytest

from ctr_retrain.tasks.validate import validate_day as validate_module
from tests.support.browser import in_browser
from tests.support.good_day import every_hour_but, failed, with_devices
from tests.support.html_page import Page

pytestmark = pytest.mark.usefixtures("great_expectations")

HOSTILE = "<script>document.body.textContent='broken into'</script>"


def page_of(store, found):
    return store.open(found.path) / "data_docs" / "index.html"


def test_one_page_is_written_beside_the_findings(store, validated, strict):
    found = validated(strict)
    folder = store.open(found.path)
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert files == {"data_docs/index.html", "findings.json", "manifest.json"}
    assert page_of(store, found).stat().st_size < 30_000  # one a day, kept
    page = Page(page_of(store, found).read_text(encoding="utf-8"))
    assert "All 11 expectations about this day are met." in page.text
    assert page.count("table", "id", "quarantine") == 0
    written = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    assert written["format"] == 2
    assert len(written["findings"]) == 11


def test_the_page_of_a_failed_day_says_what_failed_and_no_value_can_break_into_it(store, validated, strict, tmp_path):
    hostile = {"ad-2": HOSTILE, "ad-3": HOSTILE, "ad-5": "ios\n", "push-5": "x" * 1_000_000}

    def spoil(rows, clicks):
        rows, clicks = with_devices(**hostile)(*every_hour_but(7)(rows, clicks))
        return [*rows, *({**row, "event_id": f"old-{i}", "ts": "2019-01-01"} for i, row in enumerate(rows[:3]))], clicks

    found = validated(strict, spoil)
    assert set(failed(found)) == {"hours_covered", "quarantined_share", "values[device]"}
    assert failed(found)["values[device]"] == rf"{HOSTILE}, 'ios\n', {'x' * 100}… (1,000,000 characters)"
    page = in_browser(page_of(store, found), tmp_path)
    assert page.console == []
    assert "3 of 11 expectations about this day are not met" in page.text
    assert all(finding.expected in page.text and finding.received in page.text for finding in found.findings)
    assert f"{HOSTILE} 2 'ios\\n' 1" in page.text  # most rows first
    assert "impressions ts too old 3" in page.text  # no run's report would show it
    assert "07:00 0 – – 0 – –" in page.text
    assert page.references() == ["../../../../index.html"]


def test_an_expectation_that_raises_is_not_met_and_says_its_error(store, validated, strict, monkeypatch):
    real = validate_module.run_expectations

    def without_rows(measures, *others):
        return real({name: measure for name, measure in measures.items() if name != "rows"}, *others)

    monkeypatch.setattr(validate_module, "run_expectations", without_rows)
    found = validated(strict)
    assert failed(found).keys() == {"rows"}
    assert re.match(r'48, which could not be judged: .*column "rows".* does not exist', failed(found)["rows"])
    assert failed(found)["rows"] in Page(page_of(store, found).read_text(encoding="utf-8")).text
