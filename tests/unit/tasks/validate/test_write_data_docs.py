"""Rules of the page of a validation: what failed comes first, and text from outside stays text, of bounded length."""

import re
from datetime import date

import pytest

from ctr_retrain.models.data.profile import ChannelCount, HourCounts
from ctr_retrain.models.data.value_sets import ColumnValues, ValueCount
from ctr_retrain.models.documents.day_documents import Counts, Finding, LandedRows
from ctr_retrain.tasks.ingest.quarantine_reasons import QuarantinedRows
from ctr_retrain.tasks.validate.write_data_docs import DataDocsPage, describe_findings, write_data_docs
from tests.support.html_page import Page

HOSTILE = "<script>document.body.textContent='broken into'</script>"
VALUES = (HOSTILE, "\"'>&amp;", "{{ 7 * 7 }}", "line\nbreak", "\u202eright to left", "שלום", "x" * 1_000_000)
MET = Finding(name="rows", expected="at least 24", received="48", passed=True)
HOURS = Finding(name="hours_covered", expected="at least 24", received="23", passed=False)
VALUE_SET = Finding(name="values[os]", expected="one of ios", received=HOSTILE, passed=False)


@pytest.fixture
def text_of(tmp_path):
    """Write the page about a day with these findings and return its text."""

    def write(*findings, values=(), more=0, quarantine=(), unreadable=()):
        counts = Counts(received=5, kept=3, duplicates=1, quarantined=1)
        listed = tuple(ValueCount(value, 3) for value in values)
        column = ColumnValues(len(listed) + more + 1, len(listed) + more, 3 * len(listed) + more, listed)
        page = DataDocsPage(
            day=date(2026, 3, 2),
            recipe_name=HOSTILE,
            evaluated_by="Great Expectations 1",
            day_object="days/2026-03-02/x",
            failed=sum(not finding.passed for finding in findings),
            expectations=describe_findings(findings, {"values[os]": column}),
            landed=LandedRows(impressions=counts, outcomes=counts, unreadable=dict(unreadable)),
            quarantine=list(quarantine),
            channels=("ad", "push"),
            hours=[HourCounts(hour, {"ad": ChannelCount(40, 2)} if hour != 7 else {}) for hour in range(24)],
        )
        write_data_docs(page, tmp_path)
        return (tmp_path / "data_docs" / "index.html").read_text(encoding="utf-8")

    return write


def test_the_verdict_comes_first_then_what_failed_then_what_was_met(text_of):
    page = Page(text_of(MET, HOURS, VALUE_SET))
    assert page.texts[2:5] == [
        "Data of 2026-03-02",
        "✗ Rejected",
        "2 of 3 expectations about this day are not met, so no run trains on it unless somebody accepts it.",
    ]
    assert 'ctr-retrain accept --date 2026-03-02 --reason "…"' in page.texts
    places = [page.texts.index(name) for name in ("hours_covered", "values[os]", "rows")]
    assert places == sorted(places)
    assert "Hours of the day with impressions hours_covered ✗ not met at least 24 23" in page.text
    assert "Impressions of the day itself rows ✓ met at least 24 48" in page.text


def test_a_day_that_meets_all_says_so_and_asks_for_nothing(text_of):
    page = Page(text_of(MET))
    assert page.texts[3:5] == ["✓ Accepted", "All 1 expectations about this day are met."]
    assert page.count("p", "id", "advice") == page.count("tr", "class", "failing") - 1 == 0  # but the empty hour


def test_unexpected_values_are_listed_with_their_rows_and_a_bound(text_of):
    page = Page(text_of(VALUE_SET, values=("toaster", "kettle"), more=30))
    assert "32 of 33 values that came in are not among those allowed; 36 impressions have one of them." in page.text
    assert "toaster 3 kettle 3 and 30 more" in page.text


def test_hours_without_impressions_stand_out(text_of):
    text = text_of(MET)
    assert re.findall(r'<tr class="failing"><td>([^<]*)', text) == ["07:00"]
    assert "06:00 40 2 5 % 0 – – 07:00 0 – – 0 – – 08:00" in Page(text).text


def test_what_landed_is_shown_with_files_and_reasons(text_of):
    rows = QuarantinedRows("impressions", "ts_too_old", 4, "ts_too_old: 2019", "a.jsonl", 7, HOSTILE)
    page = Page(text_of(HOURS, quarantine=[rows], unreadable={"<b>.gz": HOSTILE}.items()))
    assert "impressions 5 3 1 1" in page.text
    assert f"<b>.gz : {HOSTILE}" in page.text
    assert f"impressions ts too old 4 {HOSTILE} a.jsonl, row 7: ts_too_old: 2019" in page.text


def test_text_from_outside_stays_text_and_is_bounded(text_of):
    text = text_of(VALUE_SET, values=VALUES)
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe"} == set()
    assert page.texts.count(HOSTILE) == 2  # what was received, and the value
    for shown in ("\"'>&amp;", "{{ 7 * 7 }}", r"'line\nbreak'", r"'\u202eright to left'", "שלום"):
        assert shown in page.texts
    assert "\u202e" not in text
    assert "x" * 100 + "… (1,000,000 characters)" in page.texts
    assert len(text) < 50_000


def test_the_page_refers_to_nothing_but_the_list_of_runs(text_of):
    text = text_of(VALUE_SET, values=VALUES)
    assert Page(text).references() == ["../../../../index.html"]
    assert not re.search(r"https?://|@import|url\(", text)
