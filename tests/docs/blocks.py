"""Fenced blocks of README and docs/, and what the comment before each says is to be done with it.

Each block of commands has one of two comments before it:

    <!-- run -->                 the tests run it, in the page's order and folder
    <!-- not run: REASON -->     they don't, for that reason; its lines must still be ones that the program takes

A block behind `<!-- file: NAME -->` is written into the page's folder under that name.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.repository import REPOSITORY

README = REPOSITORY / "README.md"
PAGES = [README, REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
COMMANDS = {"sh", "bash", "shell", "console"}  # languages of blocks
PROGRAM = "ctr-retrain"
COMMENT = re.compile(r"<!-- (?P<what>run|not run: \S.*|file: \S+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    line: int  # of its opening fence, counted from 1
    language: str  # "" where the fence names none
    comment: str  # run, not run: …, file: …; "" where there is none
    content: str

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.page.name}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name under which the block is a file, or None."""
        return self.comment.removeprefix("file: ") if self.comment.startswith("file: ") else None

    @property
    def commands(self) -> list[str]:
        """The block's command lines, those that go on behind a backslash joined, comments left out."""
        lines = re.sub(r"\\\n\s*", " ", self.content).splitlines()
        return [line for line in lines if shlex.split(line, comments=True)]


def blocks_of(page: Path) -> Iterator[Block]:
    """A page's fenced blocks, in their order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    numbered = iter(enumerate(lines, start=1))
    for number, line in numbered:
        if not line.startswith("```"):
            continue
        before = COMMENT.fullmatch(lines[number - 2]) if number > 1 else None
        content = []
        for _, inner in numbered:
            if inner.startswith("```"):
                break
            content.append(inner + "\n")
        yield Block(page, number, line.removeprefix("```").strip(), before["what"] if before else "", "".join(content))


def program_calls(line: str) -> list[list[str]]:
    """The arguments of each call of the program in a command line."""
    words = shlex.split(line, comments=True)
    while words and "=" in words[0]:
        words = words[1:]
    return [words[1:]] if words[:1] == [PROGRAM] else []
