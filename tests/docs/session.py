"""A reader's shell: runs the command lines of one page, the program's own in this process."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.docs.blocks import PROGRAM, Block
from tests.support.command_line import run


class Session:
    """A folder and an environment that outlast a block, as a terminal's do."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """`environment`: what is set before the page's first command."""
        self._folder = folder
        self._environment = environment

    def do(self, block: Block) -> None:
        """Write the block's file or run its commands; each must end with status 0."""
        if block.file:
            (self._folder / block.file).write_text(block.content, encoding="utf-8")
            return
        for line in block.commands:
            status, words = self._run(line)
            assert status == 0, f"{block.place}: {line}\nexpected exit status 0, received {status}:\n{words}"

    def _run(self, line: str) -> tuple[int | None, str]:
        words = shlex.split(line, comments=True)
        if words[0] == "export":
            self._environment |= dict(word.split("=", maxsplit=1) for word in words[1:])
            return 0, ""
        if words[0] == PROGRAM:
            return self._program(words[1:])
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        finished = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self._folder,
            env={**os.environ, **self._environment, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        return finished.returncode, finished.stdout + finished.stderr

    def _program(self, arguments: list[str]) -> tuple[int | None, str]:
        folder, before = Path.cwd(), dict(os.environ)
        os.chdir(self._folder)
        os.environ.update(self._environment)
        try:
            answer = run(*arguments)
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(before)
        return answer.status, answer.stdout + answer.stderr
