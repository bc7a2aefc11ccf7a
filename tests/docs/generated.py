"""The files under docs/ that are made from the code, by their names."""

from datetime import date
from functools import cache

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.recipe.recipe import load_recipe
from tests.docs.recipe_reference import write_reference
from tests.docs.schemas import schemas
from tests.docs.timeline import draw
from tests.support.repository import RECIPES, REPOSITORY

DOCS = REPOSITORY / "docs"
SHOWN_DAY = date(2026, 3, 25)  # the demonstration's last


@cache
def generated() -> dict[str, str]:
    """What each of these files should hold."""
    plan = plan_days(SHOWN_DAY, load_recipe(RECIPES / "demo.toml"))
    return {"recipe.md": write_reference(), "timeline.svg": draw(plan), **schemas()}
