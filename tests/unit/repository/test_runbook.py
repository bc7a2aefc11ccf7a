"""Each kind of incident has an entry in the runbook, with all that somebody needs who was just woken."""

import re
from typing import get_args

import pytest

from ctr_retrain.models.incidents.signal import SignalKind
from ctr_retrain.models.incidents.tell_changes import anchor_of
from tests.support.repository import REPOSITORY
from tests.unit.repository.test_docs import PAGES, anchors_of

RUNBOOK = REPOSITORY / "docs" / "runbook.md"
PARTS = ["What it means", "How sure it is", "What to look at", "What to type", "How it ends"]
ENTRIES = dict(re.findall(r"^## (.+)\n\n((?:- .+\n)+)", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("kind", get_args(SignalKind))
def test_each_kind_has_an_entry_with_its_five_parts(kind):
    entry = ENTRIES.get(kind.replace("_", " ").capitalize())
    assert entry, f"docs/runbook.md: write an entry for {kind}"
    assert re.findall(r"^- \*\*(.+?)\.\*\* \S.{9,}$", entry, re.MULTILINE) == PARTS


@pytest.mark.parametrize("kind", get_args(SignalKind))
def test_messages_link_to_a_heading_that_is_there(kind):
    assert anchor_of(kind) in anchors_of(RUNBOOK)
    assert RUNBOOK in PAGES  # so that its links and names are checked as those of other pages


def test_no_entry_is_of_a_kind_that_there_is_not():
    assert set(ENTRIES) == {kind.replace("_", " ").capitalize() for kind in get_args(SignalKind)}
