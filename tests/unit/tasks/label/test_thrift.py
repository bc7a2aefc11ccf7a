"""Rules of Thrift's compact protocol: what was read is written byte for byte, whatever wrote it."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctr_retrain.tasks.label.thrift import (
    BINARY,
    BYTE,
    DOUBLE,
    I16,
    I32,
    I64,
    LIST,
    STRUCT,
    TRUE,
    Field,
    Items,
    read_struct,
    write_struct,
)

WIDE = pa.table({f"column {number}": pa.array([1.5, None, number]) for number in range(40)})  # lists above 14 items
OF_TYPE = {
    TRUE: st.booleans().filter(bool),
    BYTE: st.binary(min_size=1, max_size=1),
    I16: st.integers(-(2**15), 2**15 - 1),
    I32: st.integers(-(2**31), 2**31 - 1),
    I64: st.integers(-(2**63), 2**63 - 1),
    DOUBLE: st.floats(allow_nan=False),
    BINARY: st.binary(max_size=200),
}


def fields_of(values):
    return st.dictionaries(st.integers(1, 200), values, max_size=6)


plain = st.sampled_from([*OF_TYPE]).flatmap(lambda type_: st.tuples(st.just(type_), OF_TYPE[type_]))
lists = st.sampled_from([*OF_TYPE]).flatmap(
    lambda type_: st.lists(OF_TYPE[type_], max_size=40).map(lambda values: (LIST, Items(type_, values)))
)
structs = st.recursive(
    fields_of((plain | lists).map(lambda pair: Field(*pair))),
    lambda inner: fields_of(inner.map(lambda fields: Field(STRUCT, fields))),
    max_leaves=5,
)


@given(structs)
def test_a_struct_that_is_written_is_read_as_it_was(fields):
    assert read_struct(write_struct(fields)) == fields


@pytest.mark.parametrize("writer", ["arrow", "duckdb"])
def test_footers_that_others_wrote_are_written_byte_for_byte(tmp_path, writer):
    file = tmp_path / "a.parquet"
    if writer == "arrow":
        pq.write_table(WIDE, file, row_group_size=2, write_page_index=True, write_page_checksum=True)
    else:
        duckdb.sql("SELECT 'a' || i AS text, i % 7 AS few FROM range(10000) t(i)").write_parquet(str(file))
    content = file.read_bytes()
    footer = content[-8 - int.from_bytes(content[-8:-4], "little") : -8]
    assert write_struct(read_struct(footer)) == footer


@pytest.mark.parametrize("data", [b"", b"\x15", b"\x18\x7fabc", b"\x15\xff"])
def test_a_struct_that_ends_too_early_is_told(data):
    with pytest.raises(ValueError, match=r"expected (1|127) bytes"):
        read_struct(data)


def test_a_type_that_parquet_does_not_use_is_told():
    with pytest.raises(ValueError, match="expected a type that Parquet uses, received number 11"):
        read_struct(b"\x1b\x00\x00")
