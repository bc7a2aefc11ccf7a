"""Rules of heads: further kinds of outcomes learnt beside the label, from the recipe to what is served and reported."""

import json
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.recipe.recipe import load_recipe
from tests.support.flow_answers import daily
from tests.support.small_world import RECIPE, RUN_DAY

HEADS = """
[[training.heads]]
kind = "conversion"
weight = 0.5
after = "click"
[[training.heads]]
kind = "dismiss"
"""


def recipe_with(folder, heads=HEADS, *, conversion=24, dismiss=72):
    """The small recipe with heads; dismissals only of pushes, and only final after three days."""
    ad, push = (
        f"more_kinds = {{ conversion = {conversion} }}\n",
        f"more_kinds = {{ conversion = 24, dismiss = {dismiss} }}\n",
    )
    text = RECIPE.replace("[channels.push]\n", f"[channels.push]\n{push}").replace(
        "[channels.ad]\n", f"[channels.ad]\n{ad}"
    )
    text = text.replace("[weights]\n", f"{heads}[weights]\n")
    path = folder / "heads.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(great_expectations, small_landing, tmp_path_factory):
    """One daily run, trained in two stages, whose recipe has two heads: its document, its root and its folder."""
    folder = tmp_path_factory.mktemp("heads")
    recipe = recipe_with(folder, f"two_stages = true\n{HEADS}")
    document = daily(RUN_DAY, recipe, str(folder / "root"), str(small_landing))
    return SimpleNamespace(document=document, folder=folder / "root" / "runs" / document["run_id"])


def test_a_run_with_heads_serves_what_it_evaluated_and_is_judged_by_the_label_alone(run):
    checks = {check["name"]: check for check in run.document["verdict"]["checks"]}
    assert checks["serving"]["passed"]
    assert checks["serving"]["value"] < 1e-6
    assert not [name for name in checks if "conversion" in name or "dismiss" in name]
    scores = pq.read_table(run.folder / "scores.parquet")
    for kind in ("conversion", "dismiss"):
        p = scores[f"challenger_probability_{kind}"].to_numpy()
        assert ((p > 0) & (p < 1)).all()


def test_the_first_of_two_stages_weighs_classes_alike_and_the_second_as_the_recipe_says(run):
    weights = json.loads((run.folder / "weights.json").read_text(encoding="utf-8"))
    negative, positive = weights["representation"]["class_weight"]
    assert negative == pytest.approx(positive)
    assert weights["class_weight"][1] > 5 * weights["class_weight"][0]


def test_each_head_has_its_figures_on_the_rows_of_v_that_know_its_label(run):
    heads = run.document["heads"]
    conversion = heads["conversion"]["metrics"]["challenger"]
    scores = pq.read_table(run.folder / "scores.parquet")
    assert heads["conversion"]["rows"] == conversion["rows"] == len(scores)
    assert 0 < conversion["positives"] < run.document["metrics"]["challenger"]["positives"]
    assert 0.4 < conversion["calibration_ratio"] < 2.5  # of some 50 conversions
    assert heads["conversion"]["calibration"]["method"] in ("intercept", "identity")  # which some 30 conversions allow
    assert heads["conversion"]["calibration"]["positives"] > 0
    assert heads["conversion"]["after"] == "click"


def test_a_kind_that_is_not_final_on_v_says_so_and_was_not_trained_on_its_young_days(run):
    dismiss = run.document["heads"]["dismiss"]
    assert dismiss["metrics"] == {}
    assert dismiss["rows"] == 0
    assert (
        "No row of the validation days has a final label of this kind as of 2026-03-07: it is final at an age of 3 days"
        in dismiss["words"]
    )
    weights = json.loads((run.folder / "weights.json").read_text(encoding="utf-8"))
    assert [share > 0 for share in weights["heads"]["dismiss"]["day_shares"]] == [True, True, False]
    assert 0 < weights["heads"]["dismiss"]["rows"] < weights["rows"] / 2  # pushes of two days of three
    assert weights["heads"]["dismiss"]["class_weight"] != weights["class_weight"]


def test_the_report_has_a_table_of_heads(run):
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    table = page.split('<table id="heads">')[1].split("</table>")[0]
    assert "conversion after click" in table
    assert "No row of the validation days has a final label of this kind" in table


def test_score_adds_a_column_for_each_head(run, tmp_path):
    from ctr_retrain.tasks.deploy.score_file import score_file  # noqa: PLC0415 - TensorFlow takes seconds to import

    pq.write_table(pq.read_table(run.folder / "scores.parquet").select(["channel"]), tmp_path / "rows.parquet")
    source = tmp_path / "rows.csv"
    source.write_text("segment,category,position\nnew,games,top\n,,\n", encoding="utf-8")
    score_file(run.folder / "challenger", source, tmp_path / "scores.csv")
    lines = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].replace('"', "").split(",")[-3:] == ["probability", "probability_conversion", "probability_dismiss"]
    click, conversion, _ = map(float, lines[1].split(",")[-3:])
    assert 0 < conversion < click


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ('[[training.heads]]\nkind = "buy"', "expected a kind that some channel labels.*received 'buy'"),
        ('[[training.heads]]\nkind = "click"', "expected another kind than the label's own, received 'click'"),
        (
            '[[training.heads]]\nkind = "conversion"\nafter = "view"',
            r"after = the positive_kind .*\['click'\], received 'view'",
        ),
        (2 * '[[training.heads]]\nkind = "dismiss"\n', "expected different kinds"),
        (
            'loss = "focal"\n[[training.heads]]\nkind = "dismiss"',
            r"expected cross_entropy where there are training\.heads",
        ),
        (
            'ship = "fresh"\n[[training.heads]]\nkind = "dismiss"',
            r"expected evaluated where there are training\.heads",
        ),
    ],
)
def test_heads_that_cannot_be_learnt_are_refused(tmp_path, heads, message):
    with pytest.raises(UsageError, match=message):
        load_recipe(recipe_with(tmp_path, f"{heads}\n"))


def test_a_kind_that_ripens_after_the_window_is_refused_with_the_ages(tmp_path):
    load_recipe(recipe_with(tmp_path, dismiss=4 * 24))
    with pytest.raises(UsageError, match=r"'dismiss' is final, which takes 5 days, .* oldest day is 4 days old"):
        load_recipe(recipe_with(tmp_path, dismiss=4 * 24 + 1))
