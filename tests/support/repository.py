"""Where this repository is, and the recipes that it ships."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RECIPES = REPOSITORY / "infra" / "recipes"
