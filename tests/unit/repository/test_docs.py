"""Rules of README and docs/: what is made from the code is up to date, links lead somewhere, commands run."""

import pytest

from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.recipe.section import Section
from tests.docs.generated import DOCS, generated


def sections():
    """Every section of the recipe."""
    return [Recipe, *Section.__subclasses__()]


@pytest.mark.parametrize("name", ["recipe.md", "timeline.svg"])
def test_pages_made_from_the_code_are_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == generated()[name], f"docs/{name} is stale: run `make docs`"


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_each_key_of_the_recipe_says_what_it_means(section):
    silent = [key for key, field in section.model_fields.items() if not field.description]
    assert not silent, f"{section.__name__}: write a docstring below {silent}; docs/recipe.md shows it"
