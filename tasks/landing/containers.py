"""Containers of landed files, told by their first bytes and never by their names: packed, or in another encoding.

What is packed is unpacked block by block, up to where it is torn. What can't be read is named by what it looks like.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from isal import igzip, isal_zlib

from ctr_retrain.tasks.landing.landed_bytes import open_landed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK_BYTES = 1 << 20
HEAD_BYTES = 512  # that tell a container; the name of a tar archive's format stands at 257
PARQUET = b"PAR1"

# Errors by which what unpacks or decodes a file says that it is torn; what the disk refuses is another, see
# `open_landed`.
Damage: tuple[type[Exception], ...] = (OSError, EOFError, UnicodeError, zlib.error, isal_zlib.error)  # type: ignore[assignment]

PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
# First bytes of files that are not read, with what to say of them.
UNREAD = {
    b"PK\x03\x04": "a ZIP archive: unpack it",
    b"BZh": "bzip2: pack it with gzip or zstd instead",
    b"\xfd7zXZ\0": "xz: pack it with gzip or zstd instead",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"\x04\x22\x4d\x18": "lz4: pack it with gzip or zstd instead",
    b"\xff\x06\0\0sNaPpY": "snappy: pack it with gzip or zstd instead",
    b"Rar!": "a RAR archive: unpack it",
    b"PARE": "an encrypted Parquet file: decrypt it",
    b"ORC": "ORC: convert it to Parquet",
    b"Obj\x01": "Avro: convert it to JSON lines, after pip install fastavro, by: python -c "
    "'import fastavro, json, sys; [print(json.dumps(row, default=str)) for row in fastavro.reader(sys.stdin.buffer)]' "
    "< FILE > FILE.jsonl",
    b"ARROW1": "an Arrow file: convert it to Parquet",
    b"FEA1": "a Feather file: convert it to Parquet",
    b"\xff\xff\xff\xff": "an Arrow stream: convert it to Parquet",
    b"SQLite format 3\0": "an SQLite database: export its table",
    b"\x89HDF": "HDF5: convert it to Parquet",
    b"\x93NUMPY": "a NumPy array: convert it to Parquet",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x7fELF": "a program",
}
# Byte order marks, the longest first: that of UTF-32 begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF8: "utf-8",
}
TAR_AT = 257


def packing_of(head: bytes) -> str:
    """Return how a file that begins so is packed: gzip, zstd or zlib; empty where it isn't."""
    for magic, packing in PACKED.items():
        if head.startswith(magic):
            return packing
    if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # a frame of zstd to be skipped
        return "zstd"
    return "zlib" if _is_zlib(head) else ""


def _is_zlib(head: bytes) -> bool:
    """Return True for the head of a zlib stream; two bytes tell little, so some of it has to unpack as well."""
    if len(head) < 2 or head[0] & 0x8F != 0x08 or int.from_bytes(head[:2], "big") % 31:
        return False
    try:
        zlib.decompressobj().decompress(head)
    except zlib.error:
        return False
    return True


def unread_kind(head: bytes) -> str:
    """Say what a file that begins so looks like, where files of that kind are not read; empty where they are."""
    for magic, kind in UNREAD.items():
        if head.startswith(magic):
            return kind
    if head[TAR_AT : TAR_AT + 5] == b"ustar":
        return "a tar archive: unpack it"
    begin = head.lstrip().lower()
    if begin.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page, such as a server's error page: fetch the file again"
    if begin.startswith(b"<"):
        return "XML, such as a service's error message: fetch the file again, or convert it"
    return ""


def encoding_of(head: bytes) -> tuple[str, int]:
    """Return a text's encoding, and how many bytes its byte order mark takes.

    Without a mark, UTF-16 and UTF-32 betray themselves by the zeros beside a first character of ASCII.
    """
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding, len(mark)
    zeros = [byte == 0 for byte in head[:4]]
    told: dict[tuple[bool, ...], str] = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    return told.get(tuple(zeros), "utf-8"), 0


def decoded(blocks: Iterator[bytes], encoding: str, mark: int) -> Iterator[bytes]:
    """Yield a text's blocks as UTF-8, without the byte order mark; raises UnicodeError where UTF-16 or 32 is torn."""
    first = next(blocks, b"")[mark:]
    if encoding == "utf-8":  # bytes that are none are their line's own affair
        yield first
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    yield decoder.decode(first).encode()
    for block in blocks:
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", final=True).encode()


def unpacked(path: Path, packing: str, *, fast: bool = False) -> Iterator[bytes]:
    """Yield the file's bytes, unpacked, up to where it is damaged; raises one of `Damage` there.

    fast: gzip four times as fast; of a damaged file the block before the damage is then missing, since isal's reader
    throws away what it had unpacked of it.
    """
    if packing == "zstd":
        yield from _zstd_blocks(path)
    elif packing == "zlib":
        yield from _zlib_blocks(path)
    elif packing == "gzip" and fast:
        with open_landed(path) as packed, igzip.open(packed, "rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block
    else:
        with open_landed(path) as packed, gzip.open(packed) if packing == "gzip" else packed as stream:
            yield from _gathered(stream)


def unpack_file(path: Path, packing: str, max_bytes: int, target: Path) -> bool:
    """Unpack a file; return False where it is larger than allowed, raise one of `Damage` where it is damaged."""
    size = 0
    with target.open("wb") as file:
        for block in unpacked(path, packing, fast=True):
            size += len(block)
            if size > max_bytes:
                return False
            file.write(block)
    return True


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


def _zlib_blocks(path: Path) -> Iterator[bytes]:
    """Yield blocks of a zlib stream; raises EOFError where it ends early, zlib.error where more stands behind it."""
    stream = zlib.decompressobj()
    with open_landed(path) as file:
        while not stream.eof:
            packed = stream.unconsumed_tail or file.read(BLOCK_BYTES)
            if not packed:
                msg = "ended before the end of its zlib stream"
                raise EOFError(msg)
            if block := stream.decompress(packed, BLOCK_BYTES):
                yield block
        if stream.unused_data or file.read(1):
            msg = "other bytes stand behind the end of its zlib stream"
            raise zlib.error(msg)


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
