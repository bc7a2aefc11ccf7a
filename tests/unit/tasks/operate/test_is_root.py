"""A root is one where something was published; any other folder is none, however much lies in it."""

import pytest

from ctr_retrain.tasks.operate.registry import claim_root, is_root
from ctr_retrain.tasks.store.local_store import LocalStore


@pytest.fixture
def folder(tmp_path):
    """Somebody's folder of other things, a manifest among them."""
    for name in ("web/site/manifest.json", "runs.txt", "notes/a.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}", encoding="utf-8")
    return tmp_path


def test_another_folder_is_none_and_a_claimed_one_is(folder):
    assert not is_root(LocalStore(folder / "none"))
    assert not is_root(LocalStore(folder))
    claim_root(LocalStore(folder), "shop")
    assert is_root(LocalStore(folder))


@pytest.mark.parametrize("left", ["refs/days/2026-03-01.json", "refs/champion.json", "runs/2026-03-01-a/manifest.json"])
def test_what_is_left_of_a_damaged_root_is_still_one(folder, left):
    path = folder / left
    path.parent.mkdir(parents=True)
    path.write_text("damaged", encoding="utf-8")
    assert is_root(LocalStore(folder))
