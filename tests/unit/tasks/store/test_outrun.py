"""Rules of a stage whose input another run replaces meanwhile: what is published is of one version, or an error."""

import shutil

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.label.labelled_rows import labelled_rows
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.shards import open_shards
from tests.support.landed_day import ingest
from tests.support.landed_twice import DAY, NOW, contents, land


class _OnceWritten(LocalStore):
    """Where `meanwhile` happens as soon as one object below `folder` is written."""

    def __init__(self, root, folder, meanwhile):
        super().__init__(root)
        self._below, self._meanwhile = folder, meanwhile

    def manifest(self, path):
        found = super().manifest(path)
        if found is None and path.startswith(self._below) and self.list_objects(path.rsplit("/", maxsplit=1)[0]):
            meanwhile, self._meanwhile = self._meanwhile, lambda: None
            meanwhile()
        return found


def test_labels_in_pieces_are_of_one_version_of_the_day_that_is_ingested_again_between_two_of_them(
    local_store, landing, tiny_recipe, tmp_path
):
    recipe, alone = tiny_recipe(landing={"buckets": 2}), LocalStore(tmp_path / "alone")

    def ingest_more():
        land(landing, 1)
        ingest(local_store, landing, recipe, DAY, NOW)

    land(landing, 0)
    ingest(local_store, landing, recipe, DAY, NOW)
    shutil.copytree(local_store.root, alone.root)
    undisturbed = label_day(alone, recipe, DAY, DAY)
    before = current_day_object(local_store, DAY)
    swap_conflict = label_day(_OnceWritten(tmp_path / "root", "pieces/labels", ingest_more), recipe, DAY, DAY)
    assert current_day_object(local_store, DAY) != before
    assert swap_conflict == undisturbed
    expected, found = contents(alone), contents(local_store)
    assert {path: found[path] for path in expected} == expected


def test_rows_of_a_piece_that_is_gone_are_an_error_and_not_fewer_rows(store, landing, tiny_recipe):
    recipe = tiny_recipe(landing={"buckets": 2})
    land(landing, 0)
    day = ingest(store, landing, recipe, DAY, NOW)
    labels = label_day(store, recipe, DAY, DAY)
    for path in (day.path, labels.path):
        store.remove([store.manifest(path)["pieces"][1]])
        with pytest.raises(StorageError, match=r"expected the object.*received none.*run again"):
            open_shards(store, path)
    with pytest.raises(StorageError):
        labelled_rows(store, labels)


def test_day_whose_object_is_gone_is_an_error_for_its_labels_and_ingest_makes_it_anew(store, landing, tiny_recipe):
    land(landing, 0)
    day = ingest(store, landing, tiny_recipe(), DAY, NOW)
    store.remove([day.path])
    with pytest.raises(StorageError, match=f"{day.path} under .*Run `ingest`"):
        label_day(store, tiny_recipe(), DAY, DAY)
    assert ingest(store, landing, tiny_recipe(), DAY, NOW) == day
    assert label_day(store, tiny_recipe(), DAY, DAY).rows > 0
