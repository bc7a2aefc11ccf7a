"""The worked examples of docs/extending.md, which tests register as a reader of that page would."""

import importlib.util
import sys

from tests.docs.blocks import blocks_of
from tests.support.repository import REPOSITORY


def documented_module(name, folder):
    """The module that the page's block of that file name makes, imported from the folder."""
    (block,) = [block for block in blocks_of(REPOSITORY / "docs" / "extending.md") if block.file == name]
    file = folder / name
    file.write_text(block.content, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"documented_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where pydantic looks for the docstrings below a class's fields
    spec.loader.exec_module(module)
    return module
