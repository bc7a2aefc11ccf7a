"""The recipes that come with the program, by name: `demo`, and those for other people's files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ctr_retrain.models.errors import UsageError


def shipped_recipes() -> dict[str, Path]:
    """Return the path of each shipped recipe by its name; they lie in the package, wherever it is installed."""
    folder = Path(str(files("ctr_retrain") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_recipe(given: Path) -> Path:
    """Return the path of a recipe that is given by its path or by a shipped recipe's name; a file counts first."""
    shipped = shipped_recipes().get(str(given))
    return given if shipped is None or given.is_file() else shipped


def require_recipe(given: Path) -> None:
    """Raise UsageError where there is no such file and no shipped recipe of that name."""
    path = find_recipe(given)
    if not path.is_file():
        raise unreadable_recipe(path, "a folder" if path.is_dir() else "No such file or directory")


def unreadable_recipe(path: Path, received: str) -> UsageError:
    """Make the error of a recipe that can't be read."""
    msg = (
        f"recipe {path}: expected a readable TOML file, received: {received} ({path.absolute()}). "
        f"Set --recipe to a path, or to the name of a shipped recipe: {', '.join(shipped_recipes())}."
    )
    return UsageError(msg)
