"""Rules of taking Open Bandit's sample out of its wheel, on a small archive of the same build."""

import csv
import gzip
import zipfile
from datetime import UTC, datetime

import pytest

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.demo.open_bandit_sample import BANDIT_DAYS, CAMPAIGNS, POLICIES, extract_sample
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file
from tests.support.labelled_day import label_rows
from tests.support.repository import RECIPES

RECIPE = RECIPES / "open_bandit.toml"
AFFINITIES = {"all": 3, "men": 1, "women": 2}  # 80, 34 and 46 in the real one


def sample(campaign):
    """Two rows a file, of two days, with the unnamed index and the affinities of the campaign."""
    affinities = [f"user-item_affinity_{i}" for i in range(AFFINITIES[campaign])]
    users = [f"user_feature_{i}" for i in range(4)]
    names = ["", "timestamp", "item_id", "position", "click", "propensity_score", *users, *affinities]
    rest = ["x"] * 4 + ["0.0"] * len(affinities)
    first = ["0", "2019-11-24 00:00:17.004101+00:00", "7", "1", "1", "0.0125", *rest]
    second = ["1", "2019-11-25 23:59:59.999999+00:00", "7", "2", "0", "0.0125", *rest]
    return "\n".join(",".join(line) for line in (names, first, second)) + "\n"


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "obp-0.4.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("obp/__init__.py", "")
        for policy in POLICIES:
            for campaign in CAMPAIGNS:
                archive.writestr(f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv", sample(campaign))
    return path


def test_policy_and_campaign_become_columns_and_items_get_their_campaigns_name(wheel, tmp_path):
    files = extract_sample(wheel, tmp_path / "out")
    assert [path.name for path in files] == [f"{p}-{c}.csv.gz" for p in POLICIES for c in CAMPAIGNS]
    with gzip.open(files[4], "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert (rows[0]["policy"], rows[0]["campaign"], rows[0]["item_id"]) == ("bts", "men", "men-7")
    assert (rows[0]["click"], rows[0]["propensity_score"]) == ("1", "0.0125")
    assert "" not in rows[0]
    assert "user-item_affinity_0" in rows[0]
    assert "user-item_affinity_1" not in rows[0]


def test_campaigns_with_different_columns_go_through_landing_ingest_and_labels(wheel, tmp_path, store):
    recipe = load_recipe(RECIPE)
    landing = tmp_path / "landing"
    for path in extract_sample(wheel, tmp_path / "out"):
        assert land_file(path, recipe, LocalLandingZone(landing)).to_json()["rows"] == {
            "2019-11-24": 1,
            "2019-11-25": 1,
        }
    first, second = BANDIT_DAYS[:2]
    for day, clicks in ((first, 6), (second, 0)):
        found = ingest_day(store, LocalLandingZone(landing), recipe, day, datetime(2026, 1, 1, tzinfo=UTC))
        assert found.impressions == Counts(received=6, kept=6, duplicates=0, quarantined=0)
        assert found.unknown_columns == tuple(f"user-item_affinity_{i}" for i in range(3))
        labelled = label_day(store, recipe, day, day)
        assert (labelled.rows, labelled.positives) == (6, clicks)
    rows = label_rows(store, labelled)
    assert {row["campaign_id"] for row in rows} == {"all-7", "men-7", "women-7"}
    assert {(row["policy"], row["campaign"]) for row in rows} == {(p, c) for p in POLICIES for c in CAMPAIGNS}
    assert {row["propensity"] for row in rows} == {0.0125}
    assert len({row["event_id"] for row in rows}) == 6


def test_propensity_is_kept_and_no_feature_and_there_is_no_user():
    recipe = load_recipe(RECIPE)
    assert recipe.landing.columns.propensity == "propensity_score"
    assert not {"propensity", "propensity_score", "click"} & {
        source for feature in recipe.features for source in feature.sources
    }
    assert recipe.landing.columns.user_id == ""
    assert recipe.inline_label
    assert recipe.maturity_days == 0


def test_sample_covers_seven_days():
    assert [day.isoformat()[5:] for day in BANDIT_DAYS] == [f"11-{number}" for number in range(24, 31)]


def test_archive_without_the_sample_is_refused_by_what_it_lacks(tmp_path):
    other = tmp_path / "other.whl"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("obp/__init__.py", "")
    with pytest.raises(UsageError, match=r"expected the wheel of obp 0.4.1 .* without obp/dataset/obd/bts/all/all.csv"):
        extract_sample(other, tmp_path / "out")
    other.write_bytes(b"no archive")
    with pytest.raises(UsageError, match="received: File is not a zip file"):
        extract_sample(other, tmp_path / "out")
    with pytest.raises(UsageError, match="No such file"):
        extract_sample(tmp_path / "absent.whl", tmp_path / "out")


def test_folder_that_cannot_be_written_is_a_storage_error(wheel, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError, match="expected a writable folder"):
        extract_sample(wheel, tmp_path / "file")
