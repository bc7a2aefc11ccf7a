"""Rules of receivers: told apart without telling their addresses; Apprise is imported only by who sends."""

import ast

from pydantic import SecretStr

from ctr_retrain.tasks.alerts.receivers import Receiver
from tests.support.repository import text_of, tree_of
from tests.unit.repository.test_architecture import FILES


def test_a_receiver_is_known_by_a_digest_that_goes_by_its_address():
    one, same, other = (Receiver("warning", SecretStr(url), "here") for url in ("a://b", "a://b", "a://c"))
    assert one.key == same.key != other.key
    assert "b" not in one.name.replace("here", "")


def test_a_name_shows_nothing_of_an_address_that_is_none():
    assert Receiver("warning", SecretStr("tok3n-and-no-scheme"), "here").name == "here (no address)"


def test_apprise_is_imported_only_where_something_is_sent():
    def at_the_top(path):
        found = [node for node in tree_of(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
        return any("apprise" in ast.unparse(node).replace("import_apprise", "") for node in found)

    assert [name for name, path in FILES.items() if "apprise" in text_of(path) and at_the_top(path)] == []
