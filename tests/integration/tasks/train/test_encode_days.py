"""Rules of encoded days: each is encoded once, whatever labels and windows later runs read it with."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.models.feature_kinds.fingerprints import FIRST_KNOWN_ROW, SHARED_ROW
from ctr_retrain.models.features.encoder import encode, encode_values
from ctr_retrain.models.features.vocabulary import NEVER, unseen_rows
from ctr_retrain.models.training.stacked_arrays import Stacked, chunks
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.label.label_day import LabelledDay, label_day
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.plan.choose_start import COLD
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.layout import CODES_FILE
from ctr_retrain.tasks.store.s3_store import S3Store
from ctr_retrain.tasks.train import training_rows
from ctr_retrain.tasks.train.encode_days import encode_days
from ctr_retrain.tasks.train.encoding_key import encoded_path
from ctr_retrain.tasks.train.training_rows import read_slices
from tests.support.known_values import fitted
from tests.support.labelled_day import label_table
from tests.support.landed_day import impression, ingest

FEATURES = [
    {"name": "user_id", "kind": "categorical"},
    {"name": "device", "kind": "categorical"},
    {"name": "hour", "kind": "hour"},
    {"name": "bid", "kind": "numeric"},
]


@pytest.fixture(params=["local", "s3"])
def any_store(request):
    return request.getfixturevalue("local_store" if request.param == "local" else "s3_store")


@pytest.fixture
def recipe(tiny_recipe):
    return tiny_recipe(features=FEATURES)


@pytest.fixture
def land(landing, land_rows, day, now):
    """Land and ingest four days, of which the second holds late rows of the first; clicks come a day late."""
    names = [[f"{number}-{event}" for event in range(40)] for number in range(4)]
    for number, events in enumerate(names):
        on = day + timedelta(days=number)
        rows = [impression(e, f"{on}T{i % 24:02}:00:00Z", user_id=f"u{i}", bid=str(i)) for i, e in enumerate(events)]
        late = [impression(f"late-{i}", user_id=f"late{i}") for i in range(5)] if number == 1 else []
        land_rows("impressions", on, rows + late)
        clicks = [f"{n}-{i}" for n in range(max(0, number - 1), number + 1) for i in range(number, 40, 9)]
        land_rows("outcomes", on, [{"event_id": e, "ts": f"{on}T23:30:00Z", "kind": "click"} for e in clicks])

    def into(store, recipe):
        for number in range(len(names)):
            ingest(store, landing, recipe, day + timedelta(days=number), now)

    return into


def label(store, recipe, day, as_of_days=3):
    return label_day(store, recipe, day, day + timedelta(days=as_of_days))


@pytest.mark.parametrize("shards", [1, 3])
def test_an_encoded_day_holds_the_rows_of_its_labels_in_their_order(any_store, land, tiny_recipe, day, shards):
    recipe = tiny_recipe(features=FEATURES, landing={"buckets": shards})
    land(any_store, recipe)
    labelled = label(any_store, recipe, day)
    (coded,) = encode_days(any_store, recipe, [labelled])
    table = label_table(any_store, labelled)
    expected = encode_values(table, recipe.features)
    assert labelled.rows == len(coded.codes) == 45
    assert np.array_equal(coded.codes, expected.codes)
    for values, same in zip(coded.dictionary.values, expected.dictionary.values, strict=True):
        assert np.array_equal(values, same)
    features = fitted(table.slice(0, 30), recipe.features)
    assert np.array_equal(coded.dictionary.table_rows(features)[coded.codes], encode(table, features).ids)
    assert np.array_equal(coded.numeric, expected.numeric, equal_nan=True)
    assert isinstance(coded.codes, np.memmap)


def test_labels_of_a_later_day_find_the_day_encoded_and_new_impressions_do_not(store, land, recipe, day):
    land(store, recipe)
    young, older, oldest = (label(store, recipe, day, age) for age in (0, 1, 3))
    assert older.path != oldest.path  # other outcomes are known
    assert encoded_path(older, recipe) == encoded_path(oldest, recipe)
    assert encoded_path(young, recipe) != encoded_path(older, recipe)  # rows that landed late are not in it
    encode_days(store, recipe, [older])
    before = store.ages().keys()
    encode_days(store, recipe, [oldest])
    assert store.ages().keys() == before


def test_the_path_of_an_encoded_day_stays(recipe, day):
    """An encoded day depends on impressions alone, and is looked for by another version of this code too."""
    labelled = LabelledDay(day, "labels/2026-03-02/x", 10, 1, ("days/2026-03-02/a", "days/2026-03-03/b"), 1)
    assert encoded_path(labelled, recipe) == "encoded/2026-03-02/775372245be07741"


def test_labelled_rows_are_the_same_on_a_machine_that_has_nothing_in_its_cache(
    s3_store, bucket, land, tiny_recipe, day, tmp_path
):
    """Labels and landed days come from the bucket; a landed day that is gone there is an error."""
    for shards in (1, 3):
        recipe = tiny_recipe(features=FEATURES, landing={"buckets": shards})
        land(s3_store, recipe)
        labelled = label(s3_store, recipe, day)
        elsewhere = S3Store(bucket, Cache(tmp_path / f"elsewhere{shards}", limit_gb=1))
        assert label_table(elsewhere, labelled).equals(label_table(s3_store, labelled))
        landed = current_day_object(s3_store, day + timedelta(days=1))
        s3_store.remove([landed, *s3_store.manifest(landed).get("pieces", [])])
        with pytest.raises(StorageError, match=r"days/2026-03-03/.* under s3://.*expected the object.*received none"):
            label_table(elsewhere, labelled)


def test_only_what_the_features_read_makes_another_encoding(land, tiny_recipe, store, day):
    recipe = tiny_recipe(features=FEATURES)
    land(store, recipe)
    labelled = label(store, recipe, day)
    log = [*FEATURES[:3], {**FEATURES[3], "transform": "log"}]
    bounded = [{**FEATURES[0], "buckets": 65, "min_rows": 2}, *FEATURES[1:]]
    other_column = [{**FEATURES[0], "column": "device"}, *FEATURES[1:]]
    assert encoded_path(labelled, tiny_recipe(features=log)) == encoded_path(labelled, recipe)
    assert encoded_path(labelled, tiny_recipe(features=bounded)) == encoded_path(labelled, recipe)
    assert encoded_path(labelled, tiny_recipe(features=other_column)) != encoded_path(labelled, recipe)
    other_window = tiny_recipe(features=FEATURES, training={"window_days": 3})
    assert encoded_path(labelled, other_window) == encoded_path(labelled, recipe)


def plan_on(days):
    """The days as T, of which the newest calibrates."""
    which = SimpleNamespace(cut=days[-1].day, calibrate=(days[-1].day,))
    return SimpleNamespace(train=days, window=days, calibrate=days[-1:], days=which, start=COLD)


def test_rows_of_many_days_come_with_their_own_labels_and_those_kept_out_apart(store, land, tiny_recipe, day, tmp_path):
    recipe = tiny_recipe(features=FEATURES, training={"calibration_share": 0.3, "calibration_days": 1})
    land(store, recipe)
    days = tuple(label(store, recipe, day + timedelta(days=number), 1) for number in range(2))
    plan = plan_on(days)
    row_ranges = read_slices(Run(store, recipe, plan, tmp_path), tmp_path)
    rows, held_out = row_ranges.train, row_ranges.calibrate
    assert row_ranges.stop is None
    assert len(rows) + len(held_out.label) == 85
    assert 0 < len(held_out.label) < 40
    tables = [label_table(store, labelled) for labelled in days]
    truth = {}
    for table in tables:
        encoded = encode(table, row_ranges.features)
        truth |= {
            tuple(i): (n[0], y)
            for i, n, y in zip(encoded.ids.tolist(), encoded.numeric.tolist(), table["label"].to_pylist(), strict=True)
        }
    for part in (rows, held_out):
        everything = np.arange(len(part.label))
        ids, numeric = part.ids[everything], part.numeric[everything]
        assert len(truth) < 85  # two days' users meet in the same hours; their numbers are the same
        assert [truth[tuple(i)][0] for i in ids.tolist()] == numeric[:, 0].tolist()
    assert rows.day_index.tolist() == [0] * 45 + [1] * (len(rows) - 45)
    assert rows.label[:45].tolist() == tables[0]["label"].to_pylist()
    assert int(rows.label[45:].sum() + held_out.label.sum()) == sum(tables[1]["label"].to_pylist())


def test_a_window_without_a_row_to_train_on_is_an_error_and_a_role_without_rows_is_none(
    store, land, tiny_recipe, day, tmp_path, monkeypatch
):
    recipe = tiny_recipe(features=FEATURES)
    land(store, recipe)
    plan = plan_on((label(store, recipe, day),))
    plan.calibrate = ()
    assert read_slices(Run(store, recipe, plan, tmp_path), tmp_path).stop is None
    monkeypatch.setattr(training_rows, "TRAIN", 99)  # a role that no row has
    plan.run_id = "2026-03-09-0123abcd"
    with pytest.raises(DataRejectedError, match="training rows of 2026-03-09-0123abcd: expected at least one"):
        read_slices(Run(store, recipe, plan, tmp_path), tmp_path)


def test_users_to_stop_by_are_none_of_those_to_train_on_or_to_calibrate_by(store, land, tiny_recipe, day, tmp_path):
    shares = {"calibration_share": 0.3, "stopping_share": 0.3, "calibration_days": 1, "epochs": 2}
    recipe = tiny_recipe(features=FEATURES, training=shares)
    land(store, recipe)
    days = tuple(label(store, recipe, day + timedelta(days=number), 1) for number in range(2))
    plan = plan_on(days)
    row_ranges = read_slices(Run(store, recipe, plan, tmp_path), tmp_path)
    parts = (row_ranges.train, row_ranges.calibrate, row_ranges.stop)
    assert sum(map(len, parts)) == 85
    assert all(0 < len(part) < 85 for part in parts)
    newest = [set(part.ids[np.flatnonzero(part.day_index == 1)][:, 0].tolist()) for part in parts]
    # The first day has the very users of the second, who have rows of their own therefore.
    assert not (newest[1] & newest[2])
    assert not (newest[0] & (newest[1] | newest[2]))


def test_a_user_who_is_kept_out_of_one_day_is_known_from_another(store, land, tiny_recipe, day, tmp_path):
    """So that the calibration slice holds known and unknown users, as the days do that the model serves."""
    recipe = tiny_recipe(features=FEATURES, training={"calibration_share": 0.3, "calibration_days": 2})
    land(store, recipe)
    days = tuple(label(store, recipe, day + timedelta(days=number), 1) for number in range(2))
    plan = plan_on(days)
    plan.calibrate, plan.days.calibrate = days, tuple(one.day for one in days)
    rows = read_slices(Run(store, recipe, plan, tmp_path), tmp_path)
    train, kept_out = (part.ids[np.arange(len(part))][:, 0] for part in (rows.train, rows.calibrate))
    known = np.isin(kept_out, train)
    assert 0.4 < known.mean() < 0.95  # the days have the same users, of whom 30 % are kept out of either
    assert set(kept_out[~known].tolist()) == {SHARED_ROW}


def test_a_user_who_is_kept_out_of_all_days_has_no_row_of_her_own(store, land, tiny_recipe, day, tmp_path):
    recipe = tiny_recipe(features=FEATURES, training={"calibration_share": 0.3, "calibration_days": 1})
    land(store, recipe)
    plan = plan_on((label(store, recipe, day),))
    rows = read_slices(Run(store, recipe, plan, tmp_path), tmp_path)
    train, kept_out = (part.ids[np.arange(len(part))][:, 0] for part in (rows.train, rows.calibrate))
    assert set(kept_out.tolist()) == {SHARED_ROW}
    assert sorted(train.tolist()) == [*range(FIRST_KNOWN_ROW, FIRST_KNOWN_ROW + len(train))]  # 45 users, one row each
    (users, _) = rows.values
    assert (users.values, users.own_rows, users.shared_share) == (len(train), len(train), 0)
    assert rows.train.unseen is None  # of so few positives
    unseen = unseen_rows(rows.features, rows.values, positives=10_000)
    assert unseen[train].tolist() == [SHARED_ROW] * len(train)
    assert unseen[0] == 0


def test_the_training_rows_of_each_row_of_the_table_are_counted(store, land, recipe, day, tmp_path):
    land(store, recipe)
    days = tuple(label(store, recipe, day + timedelta(days=number), 1) for number in range(2))
    rows = read_slices(Run(store, recipe, plan_on(days), tmp_path), tmp_path)
    ids = rows.train.ids[np.arange(len(rows.train))]
    counted = rows.value_counts
    assert counted.rows.tolist() == np.bincount(ids.ravel(), minlength=len(counted.rows)).tolist()
    later = rows.train.day_index == 1
    assert [day for day in counted.first_day.tolist() if day != NEVER] == [
        int(later[(ids == row).any(axis=1)].min()) for row in np.unique(ids)
    ]


def test_labels_and_encoded_rows_that_differ_in_number_are_an_error(store, land, recipe, day):
    land(store, recipe)
    labelled = label(store, recipe, day)
    encode_days(store, recipe, [labelled])
    wrong = SimpleNamespace(**{**vars(labelled), "rows": 46})
    with pytest.raises(StorageError, match="expected 46 encoded rows, received 45"):
        encode_days(store, recipe, [wrong])


def test_gc_keeps_encoded_days_that_the_next_run_finds_and_removes_the_rest(any_store, land, tiny_recipe, day):
    recipe, other = tiny_recipe(features=FEATURES), tiny_recipe(features=FEATURES[:2])
    land(any_store, recipe)
    days = [label(any_store, recipe, day + timedelta(days=number), 1) for number in range(2)]
    young = label(any_store, recipe, day, 0)
    encode_days(any_store, recipe, [*days, young])
    encode_days(any_store, other, days)
    newest = day + timedelta(days=3)
    assert days[0].day in plan_days(newest, recipe).all_days
    removed = set(collect_garbage(any_store, other, dry_run=True, min_age=timedelta(0)).removed)
    gone = {path for path in removed if path.startswith("encoded/")}
    in_use = {encoded_path(labelled, recipe) for labelled in (*days, young)}
    assert gone in (in_use, set())  # on a local disk this very process uses them still
    assert not removed & {encoded_path(labelled, other) for labelled in days}


def test_stacked_arrays_read_like_one_array():
    arrays = [np.arange(10).reshape(5, 2), np.arange(100, 106).reshape(3, 2), np.zeros((0, 2), int)]
    chosen = [None, np.array([0, 2]), None]
    stacked, whole = Stacked(arrays, chosen), np.concatenate([arrays[0], arrays[1][[0, 2]]])
    assert (len(stacked), stacked.shape, stacked.dtype) == (7, (7, 2), whole.dtype)
    for rows in (np.array([6, 0, 5, 5, 3]), np.array([], int), np.arange(7)):
        assert np.array_equal(stacked[rows], whole[rows])
    for size in (1, 4, 100):
        assert np.array_equal(np.concatenate(list(chunks(stacked, size))), whole)


def test_stacked_codes_read_as_what_they_mean_on_their_own_day():
    codes, meanings = [np.array([[0, 2], [1, 2]]), np.array([[1, 0]])], [np.array([7, 8, 9]), np.array([90, 80])]
    assert Stacked(codes, meanings=meanings)[np.array([2, 0, 1])].tolist() == [[80, 90], [7, 9], [8, 9]]


def test_encoded_days_are_plain_files_below_the_root(store, land, recipe, day):
    land(store, recipe)
    labelled = label(store, recipe, day)
    encode_days(store, recipe, [labelled])
    assert np.load(store.open(encoded_path(labelled, recipe)) / CODES_FILE).dtype == np.int32
