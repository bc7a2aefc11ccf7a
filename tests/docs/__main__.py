"""`make docs`: write the pages that are made from the code."""

from tests.docs.generated import DOCS, generated

for name, content in generated().items():
    (DOCS / name).write_text(content, encoding="utf-8")
    print(f"docs/{name}")  # noqa: T201 - what was written
