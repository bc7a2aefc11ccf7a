"""The examples of docs/keras-library.md run, one after another in one program."""

from tests.docs.blocks import blocks_of
from tests.support.repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "keras-library.md"


def test_each_example_of_the_librarys_page_runs():
    blocks = [block for block in blocks_of(PAGE) if block.language == "python"]
    assert len(blocks) > 5
    names = {}
    for block in blocks:
        # As many empty lines before it as stand before it on the page, so that a traceback names the page's line.
        code = "\n" * block.line + block.content
        exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page's own examples
    modules = {path.stem for path in (REPOSITORY / "models" / "imbalance").glob("*.py")} - {"__init__"}
    text = PAGE.read_text(encoding="utf-8")
    assert not [name for name in modules if f"| `{name}` |" not in text], "the page's table names each module"
