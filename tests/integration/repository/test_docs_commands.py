"""The commands of README and docs/ run, page by page, each as a reader would type them one after the other."""

import shutil
from datetime import date

import pytest

from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from tests.docs.blocks import PAGES, blocks_of
from tests.docs.generated import DOCS
from tests.docs.session import Session
from tests.support.command_line import at
from tests.support.small_world import write_recipe

OWN_DATA = DOCS / "getting-started.md"  # begins with an empty folder; the other pages with a demonstration that has run
RUN_PAGES = [page for page in PAGES if any(block.comment == "run" for block in blocks_of(page))]


@pytest.fixture(scope="module")
def demonstration(great_expectations, tmp_path_factory):
    """What `make demo` leaves, small: six days that end with its last, 4,000 impressions each, and one night.

    Its model was put into service by hand, so that there is a champion whatever the gate says of so little data.
    """
    folder = tmp_path_factory.mktemp("demonstration")
    place = folder / "var" / "demo"
    simulate(World(seed=3, rows_per_day=4000, ad_ctr=0.06, push_ctr=0.05), date(2026, 3, 20), 6, place)
    ctr_retrain = at(place / "root", place / "landing", write_recipe(folder))
    night = ctr_retrain("daily", "--date", "2026-03-24", "--json")
    assert night.status == 0, night.stderr
    assert ctr_retrain("promote", night.document["run_id"], "--reason", "to have a champion").status == 0
    return folder


@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_run_one_after_the_other(page, demonstration, great_expectations, tmp_path):
    place = tmp_path / "place"
    if page == OWN_DATA:
        place.mkdir()
        session = Session(place)
    else:
        shutil.copytree(demonstration, place)
        session = Session(place, CTR_RETRAIN_RECIPE="small.toml")
    for block in blocks_of(page):
        if block.file or block.comment == "run":
            session.do(block)
