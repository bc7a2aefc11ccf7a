"""A run shows its decisions in currency: in its document, its own file, its report and `explain`."""

import json

from tests.support.command_line import at
from tests.support.html_page import Page


def test_a_run_has_its_money_in_document_file_report_and_explain(first_run, small_landing, recipe_file):
    money, folder = first_run.document["money"], first_run.root / "runs" / first_run.document["run_id"]
    assert json.loads((folder / "money.json").read_text(encoding="utf-8"))["money"] == money
    assert money["currency"] == "EUR"
    challenger = first_run.document["metrics"]["challenger"]["by_channel"]
    for channel in money["channels"]:
        figures = challenger[channel["channel"]]
        assert channel["cost_per_1000"] == figures["cost_per_1000"]
        assert channel["break_even"] == figures["threshold"][channel["channel"]]
    sweep = money["sweep"]
    own = next(point for point in sweep if point["factor"] == 1)
    check = next(one for one in first_run.document["verdict"]["checks"] if one["name"] == "cost_delta_per_1000")
    assert round(own["cost_delta_per_1000"]["value"], 6) == round(check["value"], 6)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert money["words"] in page.text
    assert page.count("table", "id", "price-sweep") == 1
    told = at(first_run.root, small_landing, recipe_file)("explain", first_run.document["run_id"])
    said = " ".join(told.stdout.split())
    assert all(channel["words"] in said for channel in money["channels"])
    assert money["words"] in said
