"""A day that is ingested and validated by a strict recipe."""

import pytest

from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.validate.validate_day import validate_day
from tests.support.good_day import CHANNELS, STRICT, good_day


@pytest.fixture
def strict(tiny_recipe):
    return tiny_recipe(validation=STRICT, channels=CHANNELS)


@pytest.fixture
def land_and_ingest(store, landing, land_rows, day, now):
    def run(recipe, impressions, clicks):
        land_rows("impressions", day, impressions)
        land_rows("outcomes", day, clicks)
        return ingest_day(store, LocalLandingZone(landing), recipe, day, now)

    return run


@pytest.fixture
def validated(store, land_and_ingest, day, now):
    """Ingest and validate a good day that was spoiled first."""

    def run(recipe, spoil=lambda impressions, clicks: (impressions, clicks)):
        land_and_ingest(recipe, *spoil(*good_day(day)))
        return validate_day(store, recipe, day, now)

    return run
