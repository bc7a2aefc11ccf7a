"""Text from outside (values of the data, names of files, what a service answered), made fit for whoever reads it.

This is the one place that does so: the terminal, logs, pages and JSON call it where they write, whatever a message was
put together from. So no message has to think of it, and none is forgotten.
"""

from __future__ import annotations

import json
import re
import unicodedata
from html import escape
from typing import Any

# The user and password of a URL, which stand in what libraries say of it.
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@'\"<>]+@")
_JOINERS = "\u200c\u200d"  # between the parts of one emoji, or of one word of Persian
# Half a pair of JSON's \uD83D\uDE00 means nothing, and strict parsers refuse all of the document.
_ESCAPES = re.compile(r"(\\\\)|(\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\ud[89a-f][0-9a-f]{2}")


def shown(text: str, *, lines: bool = False) -> str:
    r"""Return a text in which nothing acts on a terminal, reorders what stands beside it, or is a URL's password.

    Control characters and the like become visible escapes, such as \x1b. lines: line ends and tabs stay; without it
    they are escaped too, so that a value can't make lines of its own in a log.
    """
    masked = _CREDENTIALS.sub("***@", text) if "://" in text else text
    kept = f"{_JOINERS}\n\t" if lines else _JOINERS
    return masked if masked.isprintable() else "".join(_visible(character, kept) for character in masked)


def page_text(text: str) -> str:
    """Return a text for a page that is not made by a template, such as a drawing: shown, and no markup."""
    return escape(shown(text, lines=True))


def json_text(document: dict[str, Any]) -> str:
    """Return JSON of ASCII alone, which no terminal acts on and every parser takes."""
    text = json.dumps(document, indent=1, default=str)
    return _ESCAPES.sub(lambda found: found[1] or found[2] or "\\ufffd", text) if "\\ud" in text else text


def _visible(character: str, kept: str) -> str:
    """Return a character, or its escape where it would act instead of being seen."""
    if character.isprintable() or character in kept or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()
