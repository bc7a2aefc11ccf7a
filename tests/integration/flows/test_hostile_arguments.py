"""Rules of hostile arguments: what is typed is wrong use, and leads nowhere."""

import pytest

from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import run
from tests.support.repository import RECIPES
from tests.support.stored import outside_the_root

CLIMBS = ["../..", "../../../../etc/passwd", "/etc/passwd", "runs/../../x", ".", "..", "", "x\n", "x" * 300, "\udcff"]


@pytest.mark.parametrize("name", CLIMBS)
def test_what_is_typed_leads_nowhere_but_below_the_root(tmp_path, name):
    recipe, root = RECIPES / "demo.toml", tmp_path / "inner" / "root"
    (tmp_path / "rows.csv").write_text("user_id\nu\n", encoding="utf-8")
    outside = tmp_path / "x"  # what two of the names lead to, if they lead anywhere
    (outside / "challenger").mkdir(parents=True)
    for file in (outside / "manifest.json", outside / "run.json", outside / "challenger" / "bundle.json"):
        file.write_text('{"files": []}', encoding="utf-8")
    claim_root(LocalStore(root), "demo")
    (tmp_path / "landing").mkdir()
    before = outside_the_root(tmp_path)
    score = ["score", "--input", tmp_path / "rows.csv", "--output", tmp_path / "scores.csv"]
    commands = [["explain", name], ["promote", name, "--reason", "r"], [*score, "--model", name or ".."]]
    commands += [[command, "--date", name] for command in ("ingest", "validate", "daily")]
    commands += [["accept", "--date", name, "--reason", "r"], ["backfill", "--start", "2026-03-01", "--end", name]]
    for command in commands:
        answer = run("--recipe", recipe, "--root", root, "--landing", tmp_path / "landing", "--json", *command)
        assert (answer.status, answer.document["error"]["type"]) == (2, "UsageError"), command
        assert "root" not in answer.document["error"]["message"].split(":")[0], command
        assert "Traceback" not in answer.stderr
        assert outside_the_root(tmp_path) == before, command


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1899-12-31", "2026-03-01/../x", "2026-03-01T10:00"])
@pytest.mark.parametrize("command", ["ingest", "validate", "daily"])
def test_day_that_is_none_or_at_the_calendars_end_is_wrong_use(tmp_path, command, day):
    recipe = RECIPES / "demo.toml"
    answer = run("--recipe", recipe, "--root", tmp_path / "root", "--json", command, "--date", day)
    assert (answer.status, answer.document["error"]["type"]) == (2, "UsageError")
    assert f"--date: expected a day such as 2026-03-01, received {day!r}" in answer.document["error"]["message"]
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("setting", ["root", "cache"])
def test_root_and_cache_with_a_backslash_are_refused(tmp_path, monkeypatch, setting):
    monkeypatch.setenv(f"CTR_RETRAIN_{setting.upper()}", str(tmp_path / "a\\b"))
    answer = run("status", "--json")
    assert answer.status == 2
    assert f"CTR_RETRAIN_{setting.upper()}: expected a path without a backslash" in answer.document["error"]["message"]
