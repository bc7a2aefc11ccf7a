"""Rules of days in shards that are made side by side: the same as one by one."""

from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.unit.tasks.store.test_shards import landed, taken_in  # noqa: F401 - the first is a fixture


def test_pieces_made_side_by_side_are_the_same(great_expectations, landed, tiny_recipe, day, now, tmp_path):  # noqa: F811
    recipe = tiny_recipe(landing={"buckets": 3})
    one_by_one = taken_in(LocalStore(tmp_path / "a"), landed, recipe, day, now)
    assert taken_in(LocalStore(tmp_path / "b"), landed, recipe, day, now, FanOut("threads", 2)) == one_by_one
