"""Rules of a Parquet file that gets columns: readers see the old and the new, and the old ones' bytes are untouched."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.tasks.label.widen import widen

ROWS = 25_000
MORE = pa.table(
    {
        "label": pa.array(np.arange(ROWS) % 3 == 0).cast(pa.int8()),
        "age_days": pa.array(np.arange(ROWS) % 5, pa.int16(), mask=np.arange(ROWS) % 7 > 0),
    }
)


def by_arrow(file):
    """With an index of pages, checksums, and row groups of different sizes."""
    number = np.arange(ROWS)
    names = pa.array([f"user {n % 90}" for n in number])
    table = pa.table(
        {"id": [f"e{n}" for n in number], "user": names, "price": pa.array(number / 7, mask=number % 9 == 0)}
    )
    with pq.ParquetWriter(file, table.schema, write_page_index=True, write_page_checksum=True) as writer:
        for first, last in ((0, 7_000), (7_000, 7_001), (7_001, ROWS)):
            writer.write_table(table.slice(first, last - first))


def by_duckdb(file):
    """With Bloom filters."""
    number = duckdb.sql("SELECT i FROM range(25000) t(i)")
    rows = number.project("'e' || i AS id, 'user ' || i % 90 AS user, if(i % 9 = 0, NULL, i / 7) AS price")
    rows.write_parquet(str(file), compression="zstd", row_group_size=8192)


@pytest.fixture(params=[by_arrow, by_duckdb])
def source(request, tmp_path):
    request.param(tmp_path / "source.parquet")
    return tmp_path / "source.parquet"


@pytest.fixture
def wide(source, tmp_path):
    widen(source, MORE, tmp_path / "wide.parquet")
    return tmp_path / "wide.parquet"


def test_arrow_reads_the_columns_of_both(source, wide):
    expected = pq.read_table(source)
    for name in MORE.column_names:
        expected = expected.append_column(name, MORE[name])
    assert pq.read_table(wide).equals(expected)


def test_duckdb_reads_the_columns_of_both_with_and_without_filters(source, wide):
    found = duckdb.read_parquet(str(wide)).to_arrow_table()
    both = pq.read_table(source).to_pylist(), MORE.to_pylist()
    assert found.to_pylist() == [mine | theirs for mine, theirs in zip(*both, strict=True)]
    where = "label = 1 AND age_days = 4 AND user = 'user 24'"
    expected = [
        row["id"] for row in found.to_pylist() if (row["label"], row["age_days"], row["user"]) == (1, 4, "user 24")
    ]
    assert expected
    assert [row[0] for row in duckdb.read_parquet(str(wide)).filter(where).project("id").fetchall()] == expected


def test_row_groups_and_packed_bytes_of_the_old_columns_are_as_they_were(source, wide):
    old, new = pq.read_metadata(source), pq.read_metadata(wide)
    assert [new.row_group(n).num_rows for n in range(new.num_row_groups)] == [
        old.row_group(n).num_rows for n in range(old.num_row_groups)
    ]
    for group in range(old.num_row_groups):
        sizes = [new.row_group(group).column(n).total_uncompressed_size for n in range(new.num_columns)]
        assert new.row_group(group).total_byte_size == sum(sizes)
    length = int.from_bytes(source.read_bytes()[-8:-4], "little") + 8
    assert wide.read_bytes().startswith(source.read_bytes()[:-length])


def test_a_file_without_rows_gets_columns_too(tmp_path):
    pq.write_table(pa.table({"id": pa.array([], pa.string())}), tmp_path / "source.parquet")
    widen(tmp_path / "source.parquet", MORE.slice(0, 0), tmp_path / "wide.parquet")
    assert pq.read_table(tmp_path / "wide.parquet").column_names == ["id", "label", "age_days"]


@pytest.mark.parametrize("columns", [MORE.slice(1), MORE.rename_columns(["user", "age_days"])])
def test_columns_of_other_rows_or_of_names_that_are_taken_are_refused(source, tmp_path, columns):
    with pytest.raises(ValueError, match="expected 25000 rows of columns that it doesn't have"):
        widen(source, columns, tmp_path / "wide.parquet")
    assert not (tmp_path / "wide.parquet").exists()
