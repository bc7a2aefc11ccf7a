"""Mistakes in a recipe or in settings, said in the words of whoever writes them: all of them, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

SHOWN_CHARACTERS = 100  # of a value that was received
# What was expected, by pydantic's name of the error; braces hold what it says of the bound.
EXPECTED = {
    "missing": "a value",
    "string_type": "a text in quotes",
    "string_too_short": "a text that is not empty",
    "string_pattern_mismatch": "a name of small letters, digits, _ and -, with a letter or digit first",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "{le:g} or less",
    "tuple_type": "a list",
    "dict_type": "a table of keys and values",
    "model_type": "a table of keys and values",
    "model_attributes_type": "a table of keys and values",
    "too_short": "{min_length} or more of them",
    "too_long": "{max_length} at most of them",
    "date_type": "a date such as 2026-03-01",
    "date_parsing": "a date such as 2026-03-01",
    "date_from_datetime_parsing": "a date such as 2026-03-01",
    "date_from_datetime_inexact": "a date such as 2026-03-01, without a time",
    "literal_error": "{expected}",
    "value_error": "{error}",
}


class MistakesError(ValueError):
    """Several sentences, each on a mistake."""

    def __init__(self, sentences: Iterable[str]) -> None:
        """Take the sentences."""
        self.sentences = tuple(sentences)
        super().__init__("; ".join(self.sentences))


def refuse(mistakes: Iterable[str]) -> None:
    """Raise ValueError with all mistakes, if there are any."""
    if found := tuple(mistakes):
        raise MistakesError(found)


def sentences_on(problems: Iterable[ErrorDetails], refused: Mapping[str, str]) -> list[str]:
    """Write the mistakes of a recipe as `key: expected …, received …`, each key once whatever it could have been.

    refused: keys that people expect and that there are not, each with the reason.
    """
    lines: dict[str, None] = {}
    wrong: dict[tuple[str, str], list[str]] = {}  # what each key could have been instead of what it is
    for problem in problems:
        key, received = _key_of(problem) or "recipe", _shown(problem["input"])
        error = problem.get("ctx", {}).get("error")
        if key in refused:
            lines[f"{key}: expected no such key, received {received}: {refused[key]}"] = None
        elif problem["type"] == "extra_forbidden":
            lines[f"{key}: expected no such key, received {received}. Check its spelling or remove it"] = None
        elif problem["type"] == "missing":
            lines[f"{key}: expected a value, received nothing. Add the key"] = None
        elif isinstance(error, MistakesError):
            lines |= dict.fromkeys(f"{key}: {sentence}" for sentence in error.sentences)
        elif error and isinstance(problem["input"], dict):
            lines[f"{key}: {error}"] = None
        else:
            wrong.setdefault((key, received), []).append(expected_of(problem).removeprefix("expected "))
    values = [f"{key}: expected {' or '.join(could_be)}, received {got}" for (key, got), could_be in wrong.items()]
    return values + list(lines)


def expected_of(problem: ErrorDetails) -> str:
    """Say what was expected instead of a mistake."""
    return EXPECTED.get(problem["type"], "another value").format(**problem.get("ctx", {}))


def _key_of(problem: ErrorDetails) -> str:
    """Return the key in which a mistake lies; empty where that is no single one."""
    # Parts such as dict[str,float] or [key] name a branch of pydantic's, not a key of the recipe.
    return ".".join(str(part) for part in problem["loc"] if "[" not in str(part))


def _shown(value: Any) -> str:
    """Return a value as it was received, or the beginning of a long one."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
