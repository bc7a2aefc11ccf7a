"""A run judges parts of its validation rows: in its document, its own file and its report."""

import json

from tests.support.html_page import Page


def test_a_run_has_its_slices_with_newcomers_in_document_file_and_report(first_run):
    slices, folder = first_run.document["slices"], first_run.root / "runs" / first_run.document["run_id"]
    assert json.loads((folder / "slices.json").read_text(encoding="utf-8"))["slices"] == slices
    channels = [one for one in slices["slices"] if one["name"].startswith("channel = ")]
    rows = first_run.document["metrics"]["challenger"]["by_channel"]
    assert {one["name"]: one["rows"] for one in channels} == {f"channel = {name}": rows[name]["rows"] for name in rows}
    assert {one["name"]: one["positives"] for one in channels} == {
        f"channel = {name}": rows[name]["positives"] for name in rows
    }
    check = next(check for check in first_run.document["verdict"]["checks"] if check["name"] == "slices")
    assert slices["words"] in check["words"] or not check["passed"]
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert slices["words"] in page.text
    assert page.count("table", "id", "slices") == 1
