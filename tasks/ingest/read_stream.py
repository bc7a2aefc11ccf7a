"""Read all landed files of one stream and day; a file that can't be read stands beside the rows of the others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.landed_bytes import landed_name, link_problem, name_problem
from ctr_retrain.tasks.landing.parse_lines import one_line, printable
from ctr_retrain.tasks.landing.read_landing import CleanFile, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.models.data.schema import Column
    from ctr_retrain.models.recipe.landing_section import Landing


def read_day(
    connection: duck.Connection,
    paths: list[Path],
    wanted: tuple[Column, ...],
    staging: Path,
    landing: Landing,
    clean: CleanFile,
) -> tuple[list[LandedFile], list[UnreadableFile]]:
    """Read all files of one stream and day, a core each; a file without a required column is unreadable.

    Raises DataRejectedError where files landed and none of them could be read.
    """
    read = partial(_read_complete, wanted=wanted, staging=staging, landing=landing, clean=clean)
    landed = duck.in_parallel(connection, read, paths)
    files = [file for file in landed if isinstance(file, LandedFile)]
    unreadable = [file for file in landed if isinstance(file, UnreadableFile)]
    if unreadable and not files:
        first = unreadable[0]
        msg = (
            f"{paths[0].parent}: expected at least one readable file, received {len(unreadable)} unreadable; "
            f"{first.name}: {first.reason}. Mend the export, or map your column names under [landing.columns]."
        )
        raise DataRejectedError(msg, unreadable={file.name: file.reason for file in unreadable})
    return files, unreadable


def _read_complete(
    connection: duck.Connection,
    path: Path,
    wanted: tuple[Column, ...],
    staging: Path,
    landing: Landing,
    clean: CleanFile,
) -> LandedFile | UnreadableFile:
    """Read a file; one with a bad name or link, or without a required column, is unreadable."""
    name = landed_name(path)
    if problem := name_problem(path) or link_problem(path):
        return UnreadableFile(printable(name), problem)
    landed = read_file(connection, path, wanted, staging, landing, clean, name)
    if isinstance(landed, UnreadableFile) or landed.cleaned:
        return landed
    missing = [column.source for column in wanted if column.required and column.source not in landed.columns]
    if missing:
        reason = f"column missing: expected {', '.join(missing)}, received {', '.join(landed.columns)}"
        return UnreadableFile(name, one_line(landed.damage or reason))
    return landed
