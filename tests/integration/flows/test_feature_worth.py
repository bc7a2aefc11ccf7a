"""A run says what each of its features holds and brings on later days: the small world's first run."""

from pathlib import Path

import pytest

from ctr_retrain.models.documents.drift_documents import FeatureWorthDocument
from tests.support.command_line import at
from tests.support.html_page import Page


@pytest.fixture
def features(first_run):
    return {feature["name"]: feature for feature in first_run.document["feature_worth"]["features"]}


def test_every_feature_has_a_worth_and_none_of_them_makes_a_family(first_run, features):
    assert list(features) == ["segment", "category", "position", "hour", "recent_sends"]
    measured = first_run.document["feature_worth"]
    assert measured["families"] == []
    stored = FeatureWorthDocument.read(first_run.root / "runs" / first_run.document["run_id"] / "feature_worth.json")
    assert stored.feature_worth.to_json() == measured


def test_the_network_that_is_measured_is_the_one_that_serves(first_run):
    measured, served = first_run.document["feature_worth"], first_run.document["metrics"]["challenger"]
    assert measured["rows"] == served["rows"]
    assert measured["positives"] == served["positives"]
    assert measured["log_loss"] == pytest.approx(served["log_loss"], rel=1e-5)


def test_what_the_world_goes_by_brings_something_and_nothing_is_said_of_what_cannot_be_told(features):
    worths = {name: feature["worth"] for name, feature in features.items()}
    assert worths["category"]["finding"] == "brings"
    assert worths["category"]["cost_per_1000"]["low"] > 0
    strongest = max(worths, key=lambda name: worths[name]["log_loss"]["value"])
    assert strongest == "category"
    for worth in worths.values():
        assert worth["finding"] != "unclear" or "cannot be told on these days" in worth["words"]


def test_what_features_hold_is_counted_by_day(first_run, features):
    days = first_run.document["days"]["validate"]
    assert all([day["day"] for day in feature["days"]] == days for feature in features.values())
    assert all(feature["coverage"] == 1 for feature in features.values())
    (segment,) = features["segment"]["days"]
    assert segment["missing"] == 0
    assert segment["unseen"] < 0.01
    assert segment["moved"] < 0.05
    assert features["hour"]["days"][0]["moved"] is None


def test_the_verdict_does_not_depend_on_it(first_run):
    assert first_run.document["verdict"]["decision"] == "promote"
    assert not [check for check in first_run.document["verdict"]["checks"] if "feature" in check["name"]]


def test_report_and_explain_tell_it(first_run, features, small_landing, recipe_file):
    run_id = first_run.document["run_id"]
    page = Page((Path(first_run.root) / "runs" / run_id / "report.html").read_text(encoding="utf-8"))
    assert page.count("table", "id", "feature-worth") == page.count("table", "id", "feature-days") == 1
    worths = [feature["worth"] for feature in features.values()]
    assert all(worth["words"] in page.text for worth in worths)
    shown = " ".join(at(first_run.root, small_landing, recipe_file)("explain", run_id).stdout.split())
    for worth in worths:
        assert (worth["words"][:50] in shown) == (worth["finding"] in ("nothing", "harms"))
