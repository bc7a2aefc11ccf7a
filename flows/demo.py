"""The demonstrations: land some simulated weeks, or the Open Bandit sample, and run the daily flow on the last days."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.flows.daily import daily
from ctr_retrain.flows.one_run import one_run
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.documents.command_documents import DemoAnswer, DemoIncident
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.simulation.scenarios import BrokenClickLogger
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.alerts.incident_refs import brief_of, load_incidents
from ctr_retrain.tasks.demo.open_bandit_sample import BANDIT_DAYS, extract_sample
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file

if TYPE_CHECKING:
    from collections.abc import Sequence

DEMO_START = date(2026, 3, 2)
DEMO_DAYS = 24  # simulated
DEMO_RUN_DAYS = 3  # the last of them, each with a run of its own
DEMO_ROWS_PER_DAY = 25_000
# For two days android's click logger loses more than half of the ads' clicks; it is mended on the last day.
DEMO_FAULT = BrokenClickLogger("ad", date(2026, 3, 23), date(2026, 3, 24), lost_share=0.6, device="android")


def run_demo(recipe: Path, folder: Path) -> DemoAnswer:
    """Simulate some weeks below `folder` and run the daily flow for the last days."""
    with one_run(load_settings(root=str(folder / "root")), "demo"):
        return _demo(recipe, folder)


def _demo(recipe: Path, folder: Path) -> DemoAnswer:
    landing = folder / "landing"
    if not landing.exists():
        simulate(World(seed=7, rows_per_day=DEMO_ROWS_PER_DAY, incidents=(DEMO_FAULT,)), DEMO_START, DEMO_DAYS, folder)
    last = DEMO_START + timedelta(days=DEMO_DAYS - 1)
    days = day_range(last - timedelta(days=DEMO_RUN_DAYS - 1), last)
    return _run_days(days, recipe, folder)


def run_open_bandit(recipe: Path, folder: Path, wheel: Path) -> DemoAnswer:
    """Land the Open Bandit sample by day below `folder` and run the daily flow for each day that has a window."""
    with one_run(load_settings(root=str(folder / "root")), "demo-open-bandit"):
        return _open_bandit(recipe, folder, wheel)


def _open_bandit(recipe: Path, folder: Path, wheel: Path) -> DemoAnswer:
    landing = folder / "landing"
    if not landing.exists():
        for file in extract_sample(wheel, folder / "sample"):
            land_file(file, load_recipe(recipe), LocalLandingZone(landing))
    return _run_days(BANDIT_DAYS[1:], recipe, folder)


def _run_days(days: Sequence[date], recipe: Path, folder: Path) -> DemoAnswer:
    """Run the daily flow for each day, in order, on what has landed below the folder."""
    root, landing = str(folder / "root"), str(folder / "landing")
    runs = tuple(daily(day, recipe, root, landing) for day in days)
    told = [one for one in load_incidents(load_settings(root=root).store).incidents if one.level != "notice"]
    in_brief = tuple(DemoIncident(**dict(brief_of(one)), resolved=one.resolved) for one in told)
    return DemoAnswer(runs=runs, incidents=in_brief)
