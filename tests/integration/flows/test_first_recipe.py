"""One's own file becomes a judged model by typing what `init` says, without editing a recipe."""

import gzip
import re
import shlex
import subprocess

import pytest

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.first_recipe.recipe_text import Prices
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.first_recipe.write_first_recipe import first_recipe
from tests.support import exports
from tests.support.command_line import at, run
from tests.support.counts import draws


def test_a_file_becomes_a_first_verdict_by_the_commands_that_init_names(great_expectations, tmp_path):
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
    checked = run("init", "--from", source, *PRICES, "--out", tmp_path / "checked.toml", "--check", "--json")
    assert checked.document["verdict"] is None  # eight days have landed, to 8 March
    assert checked.document["verdict_reason"] == "2 more days have to land before it"
    assert f"ctr-retrain --recipe {recipe} land --from {source}" in made.stdout
    assert run(*arguments, "--cost-send", "0.05").status == 2  # the recipe is there now
    assert run(*arguments, "--cost-send", "2").status == 2
    assert run(*arguments).status == 2  # a price is missing
    missing = at(tmp_path / "root", tmp_path / "landing", recipe)("land", "--from", tmp_path / "none.csv")
    assert missing.status == 2
    assert "--from: expected a file, received none" in missing.stderr
    ratings = exports.movielens(tmp_path, liked=False)
    assert run("init", "--from", ratings, "--cost-send", "0.1", "--value-click", "1").status == 3


PRICES = ("--cost-send", "0.05", "--value-click", "1")
EXPORTS = {  # Criteo's stands above
    "ad_manager": exports.ad_manager,
    "bank": exports.bank,
    "snowplow": exports.snowplow,
}
# Of each of these a recipe is written, and read, in the unit tests; once there is one, a night is as with the others.
MORE_EXPORTS = {
    "avazu": exports.avazu,
    "ga4": exports.ga4,
    "movielens": lambda folder, days: exports.movielens(folder, days, liked=True),
    "one_signal": exports.one_signal_events,
}
EXPORTS |= draws({}, MORE_EXPORTS)
ENOUGH_DAYS = 12


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_becomes_a_first_verdict_without_editing(great_expectations, tmp_path, name):
    made = EXPORTS[name](tmp_path, ENOUGH_DAYS)
    source, *outcomes = made if isinstance(made, tuple) else (made,)
    files = ["--from", source, *(part for path in outcomes for part in ("--outcomes", path))]
    recipe = tmp_path / "first.toml"
    answer = run("init", *files, *PRICES, "--out", recipe, "--check", "--json")
    if name == "snowplow":  # a line of names is missing, and the refusal names the command that puts one there
        assert answer.status == 3
        source = typed(answer.document["error"]["message"], tmp_path)
        answer = run("init", "--from", source, *PRICES, "--out", recipe, "--check", "--json")
    assert answer.status == 0, answer.stderr
    assert answer.document["missing_days"] == 0
    assert answer.document["verdict"] in {"promote", "hold", "reject"}
    assert answer.document["verdict_reason"]


def recipe_of(source, folder):
    target = folder / "first.toml"
    return first_recipe(source, Prices.of(0.05, 1), target), load_recipe(target)


def typed(message, folder):
    """Type the command that a refusal names, in the file's folder."""
    command = re.search(r"(?:Convert it first|before it): (.*> [\w.-]+)", message).group(1)
    subprocess.run(["/bin/bash", "-c", command], cwd=folder, check=True)
    return folder / command.rpartition("> ")[2]


def test_another_encoding_is_read_once_the_command_was_typed_that_the_refusal_names(tmp_path):
    plain = exports.bank(tmp_path).read_text(encoding="utf-8").replace("services", "Müßiggang")
    (tmp_path / "west.csv.gz").write_bytes(gzip.compress(plain.encode("cp1252")))
    with pytest.raises(DataRejectedError, match="looks like WINDOWS-1252") as error:
        recipe_of(tmp_path / "west.csv.gz", tmp_path)
    answer, recipe = recipe_of(typed(str(error.value), tmp_path), tmp_path)
    assert answer.rows == exports.DAYS * exports.ROWS
    assert recipe.landing.delimiter == ";"
    assert "Müßiggang" in (tmp_path / "first.toml").read_text(encoding="utf-8")


def test_snowplow_gets_its_names_by_the_command_that_the_refusal_names(tmp_path):
    with pytest.raises(DataRejectedError, match="received a row: ") as error:
        recipe_of(exports.snowplow(tmp_path), tmp_path)
    answer, recipe = recipe_of(typed(str(error.value), tmp_path), tmp_path)
    assert recipe.landing.event_log.column == "se_action"
    assert recipe.landing.event_log.impressions == ("impression",)
    assert recipe.landing.event_id_columns == ("se_property",)
    assert (answer.user_id, answer.campaign_id) == ("domain_userid", "mkt_campaign")
    assert answer.rows == exports.DAYS * exports.ROWS
