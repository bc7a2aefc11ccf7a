"""The recipes that come with the program, by name: `demo`, and those for other people's files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped_recipes() -> dict[str, Path]:
    """Return the path of each shipped recipe by its name; they lie in the package, wherever it is installed."""
    folder = Path(str(files("ctr_retrain") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_recipe(given: Path) -> Path:
    """Return the path of a recipe that is given by its path or by a shipped recipe's name; a file counts first."""
    shipped = shipped_recipes().get(str(given))
    return given if shipped is None or given.is_file() else shipped
