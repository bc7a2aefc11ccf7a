"""Read a landed text file as it comes, compressed or not: its blocks, its lines, and whether it is whole.

Everything is bounded: a line by MAX_LINE_BYTES, the file by what the caller allows. A torn file gives its lines up to
the tear, and then says so. A packed file is unpacked once, and what reads it afterwards reads the plain text.
"""

from __future__ import annotations

import gzip
import json
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from isal import igzip, isal_zlib

from ctr_retrain.tasks.landing.landed_bytes import open_landed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 24  # 16 MiB, DuckDB's own bound of a JSON object
KEPT_OF_LONG_LINE = 4000  # bytes
WHOLE_BLOCKS = 2  # at a file's beginning, of which each line is looked at for keys that nobody expects
SAMPLED_EVERY = 8  # blocks after these, of which SAMPLED_BYTES are looked at
SAMPLED_BYTES = 1 << 16
MAX_KEYS = 1000  # of one file; beyond, a key is data and no column

PACKINGS = (".gz", ".zst")  # endings of compressed files

# Errors by which what unpacks a file says that it is torn; what the disk refuses is another error, see `open_landed`.
Damage: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, isal_zlib.error)  # type: ignore[assignment]


class CutLine(str):
    """The beginning of a line that is longer than MAX_LINE_BYTES; the rest of it was passed over."""

    __slots__ = ()


@dataclass(frozen=True)
class Look:
    """The findings of one pass over a file."""

    plain: Path  # where it stands unpacked: the file itself, if it never was packed
    keys: tuple[str, ...]  # of JSON objects, as far as lines were looked at
    damage: str | None  # the error at which reading ended, if it did not reach the end
    too_large: bool = False  # unpacked, it is larger than allowed


def look_over(path: Path, max_bytes: int, unpacked: Path, *, json_keys: bool) -> Look:
    """Unpack a file to its end, or to `max_bytes`, and collect the keys of its first lines and of some later ones.

    A packed file comes to stand plain at `unpacked`; raises OSError where it can't be written there. Of keys, each line
    of the first 2 MiB is looked at, then one block of 64 KiB in every 8 MiB.
    """
    # isal's unpacking may lack the block before a tear, so what turns out to be damaged is read again by zlib.
    look = _look(path, _fast_blocks(path), max_bytes, unpacked, json_keys=json_keys)
    return _look(path, blocks(path), max_bytes, unpacked, json_keys=json_keys) if look.damage else look


def _look(path: Path, source: Iterator[bytes], max_bytes: int, unpacked: Path, *, json_keys: bool) -> Look:
    """Pass over the file once, by its unpacked blocks, up to where it ends, tears or is too large."""
    plain, size, keys, rest = path, 0, dict[str, None](), b""
    with ExitStack() as stack:
        if path.suffix in PACKINGS:
            plain = unpacked
            target = stack.enter_context(plain.open("wb"))
        for number in count():
            try:
                block = next(source, None)
            except Damage as error:
                return Look(plain, tuple(keys), str(error))
            if block is None:
                break
            size += len(block)
            if size > max_bytes:
                return Look(plain, tuple(keys), None, too_large=True)
            if plain != path:
                target.write(block)
            if json_keys and number < WHOLE_BLOCKS:
                *lines, rest = (rest + block).split(b"\n")
                _add_keys(keys, lines)
            elif json_keys and number % SAMPLED_EVERY == 0:
                _add_keys(keys, block[:SAMPLED_BYTES].split(b"\n")[1:-1])
    _add_keys(keys, [rest])
    return Look(plain, tuple(keys), None)


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the file's bytes, unpacked, up to where it is damaged; raises one of `Damage` there."""
    if path.suffix == ".zst":
        yield from _zstd_blocks(path)
        return
    with open_landed(path) as packed, gzip.open(packed) if path.suffix == ".gz" else packed as stream:
        yield from _gathered(stream)


def _fast_blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes as `blocks` does, four times as fast where it is gzipped.

    Of a damaged file the block before the damage is missing: isal's reader throws away what it had unpacked of it.
    """
    if path.suffix != ".gz":
        yield from blocks(path)
        return
    with open_landed(path) as packed, igzip.open(packed, "rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block


def _gathered(stream: Any) -> Iterator[bytes]:
    """Yield blocks of a stream; where it is torn, what comes before the tear and only then raise one of `Damage`."""
    held, size = [], 0
    try:
        while some := stream.read1(BLOCK_BYTES):
            held.append(some)
            size += len(some)
            if size >= BLOCK_BYTES:
                yield b"".join(held)
                held, size = [], 0
    except Damage:
        yield b"".join(held)
        raise
    if held:
        yield b"".join(held)


def _zstd_blocks(path: Path) -> Iterator[bytes]:
    """Yield blocks of a file that zstd packed, the last ones before a tear smaller and smaller.

    Arrow's stream gives nothing of a block in which the file is torn.
    """
    done, block_bytes = 0, BLOCK_BYTES
    while True:
        with open_landed(path) as packed, pa.input_stream(packed, compression="zstd") as stream:
            left = done
            while left:
                left -= len(stream.read(min(left, block_bytes)))
            try:
                while block := stream.read(block_bytes):
                    done += len(block)
                    yield block
            except OSError:
                if block_bytes == 1:
                    raise
                block_bytes = max(1, block_bytes // 64)
            else:
                return


class Lines:
    """The lines of a file, each with its end; bytes that are not UTF-8 come as surrogates, so that they can be told.

    After the last one `damage` says what tore the file, if anything did, and `torn` is what came of the torn line.
    """

    def __init__(self, path: Path) -> None:
        """Begin a file; nothing is read before the first line is asked for."""
        self.count = 0  # lines given so far
        self.damage: str | None = None
        self.torn = ""
        self._lines = self._read(path)

    def __iter__(self) -> Iterator[str]:
        """Return the lines themselves."""
        return self

    def __next__(self) -> str:
        """Return the next line."""
        line = next(self._lines)
        self.count += 1
        return line

    def _read(self, path: Path) -> Iterator[str]:
        """Yield the lines; of one that is too long only its beginning, as a CutLine, while the rest is passed over."""
        rest, passing_over, begun = b"", False, False
        try:
            for block in blocks(path):
                text = block if begun else block.removeprefix(b"\xef\xbb\xbf")  # the byte order mark of UTF-8
                begun = True
                if passing_over:
                    _, found, text = text.partition(b"\n")
                    if not found:
                        continue
                    passing_over = False
                *lines, rest = (rest + text).split(b"\n")
                for line in lines:
                    yield _decoded(line + b"\n")
                if len(rest) > MAX_LINE_BYTES:
                    yield CutLine(_decoded(rest[:KEPT_OF_LONG_LINE]))
                    rest, passing_over = b"", True
        except Damage as error:
            self.damage, self.torn = str(error), _decoded(rest)
            return
        if rest:
            yield _decoded(rest)


def _decoded(line: bytes) -> str:
    """Return the line as text; a byte that is not UTF-8 becomes a surrogate."""
    return line.decode("utf-8", "surrogateescape")


def _add_keys(keys: dict[str, None], lines: Iterable[bytes]) -> None:
    """Add the keys of each line that is a JSON object; whoever reads the rows finds lines that are none."""
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and not row.keys() <= keys.keys() and len(keys) < MAX_KEYS:
            keys.update(dict.fromkeys(row))
