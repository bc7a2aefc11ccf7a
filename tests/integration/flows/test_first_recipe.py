"""One's own file becomes a judged model by typing what `init` says, without editing a recipe."""

import shlex

from tests.support import exports
from tests.support.command_line import at, run


def test_a_file_becomes_a_first_verdict_by_the_commands_that_init_names(prefect_server, tmp_path):
    source, recipe = exports.criteo(tmp_path), tmp_path / "first.toml"
    prices = ("--cost-send", "0.05", "--value-click", "1")
    made = run("init", "--from", source, *prices, "--out", recipe, "--json")
    assert made.status == 0, made.stderr
    assert made.document["missing_days"] == 0
    command = at(tmp_path / "root", tmp_path / "landing", recipe)
    land, _, daily = (shlex.split(line)[3:] for line in made.document["next_commands"])
    landed = command(*land)
    assert landed.status == 0, landed.stderr
    judged = command(*daily, "--json")
    assert judged.status == 0, judged.stderr
    assert judged.document["verdict"]["decision"] in {"promote", "hold", "reject"}
    assert judged.document["metrics"]["challenger"]["rows"] == 2 * exports.ROWS  # its two validation days


def test_what_was_found_is_said_at_the_terminal_and_mistakes_have_an_exit_status(tmp_path):
    source, recipe = exports.one_signal(tmp_path), tmp_path / "first.toml"
    arguments = ("init", "--from", source, "--value-click", "1", "--out", recipe)
    made = run(*arguments, "--cost-send", "0.05")
    assert made.status == 0, made.stderr
    assert "5 % of positives; seen 9.72 %" in made.stdout
    assert "first day with a full verdict: 2026-03-10" in made.stdout
    assert f"ctr-retrain --recipe {recipe} land --from {source}" in made.stdout
    assert run(*arguments, "--cost-send", "0.05").status == 2  # the recipe is there now
    assert run(*arguments, "--cost-send", "2").status == 2
    assert run(*arguments).status == 2  # a price is missing
    missing = at(tmp_path / "root", tmp_path / "landing", recipe)("land", "--from", tmp_path / "none.csv")
    assert missing.status == 2
    assert "--from: expected a file, received none" in missing.stderr
    ratings = exports.movielens(tmp_path, liked=False)
    assert run("init", "--from", ratings, "--cost-send", "0.1", "--value-click", "1").status == 3
