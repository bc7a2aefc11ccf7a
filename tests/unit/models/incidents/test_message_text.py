"""Rules of a message's words: what and since when on the first line, then what to look at and what to type."""

import pytest

from ctr_retrain.models.incidents.message import Message
from ctr_retrain.models.incidents.message_text import first_line, webhook_document, whole_text
from tests.support.older_refs import MESSAGE


def message(**changes):
    return Message.from_json({**MESSAGE, **changes})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "WARNING demo, ad, since 7 March 2026: The ratio fell by 40 %."),
        (
            {"change": "worse", "level": "critical"},
            "CRITICAL demo, ad, since 7 March 2026: worse: The ratio fell by 40 %.",
        ),
        ({"change": "reopened", "subject": ""}, "WARNING demo, since 7 March 2026: again: The ratio fell by 40 %."),
        ({"change": "resolved"}, "OVER demo, ad, since 7 March 2026: The ratio fell by 40 %."),
    ],
)
def test_the_first_line_says_how_grave_what_about_since_when_and_what(changes, line):
    assert first_line(message(**changes)) == line


def test_the_text_says_what_to_look_at_what_it_touches_what_to_type_and_where_to_read_on():
    assert whole_text(message()).splitlines()[2:] == [
        "Look at the logger.",
        "Touched: android.",
        "Type: ctr-retrain status",
        "Report: root/index.html",
        "Runbook: docs/runbook.md#ratio-changed",
        f"Message {MESSAGE['id']} of incident {MESSAGE['incident']}.",
    ]


def test_the_end_says_that_nothing_was_found_any_more_or_that_it_is_the_normal_state():
    assert whole_text(message(change="resolved")).splitlines()[2].endswith("looked and found it no more.")
    normal = whole_text(message(change="resolved", new_normal=True)).splitlines()
    assert normal[2] == "It is over: from 7 March 2026 on the days since then teach what is expected."


def test_a_webhook_s_document_has_the_alert_of_the_contract_beside_the_message_and_its_text():
    document = webhook_document(message(kind="disk_low", subject="", channel="", expected=None, received=None))
    assert document["alerts"] == [
        {
            "name": "disk_low",
            "level": "warning",
            "channel": "",
            "expected": None,
            "received": None,
            "cause": "The ratio fell by 40 %.",
        }
    ]
    assert {"recipe", "date", "text", "id", "since", "details", "commands", "report", "runbook"} <= document.keys()
