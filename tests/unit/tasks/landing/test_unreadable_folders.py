"""Rules of a landing folder on a disk that may not be read: it isn't empty."""

import errno
import os
from datetime import date
from pathlib import Path

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from tests.unit.tasks.landing.test_landing_zone import land

DAY = date(2026, 3, 2)


@pytest.fixture
def zone(tmp_path):
    return LocalLandingZone(tmp_path)


@pytest.mark.parametrize("look", ["files", "left_out", "landed_at", "days"])
@pytest.mark.parametrize("failure", [errno.EACCES, errno.EIO])
def test_a_folder_that_may_not_be_read_is_not_taken_for_empty(zone, monkeypatch, look, failure):
    land(zone, "impressions", "2026-03-02", "rows.csv")

    def fail(_):
        raise OSError(failure, os.strerror(failure))

    monkeypatch.setattr(Path, "iterdir", fail)
    with pytest.raises(StorageError, match=rf"landing folder .*, received: {os.strerror(failure)}\. It is not taken"):
        getattr(zone, look)("impressions", *([] if look == "days" else [DAY]))
