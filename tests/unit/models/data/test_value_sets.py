"""Rules of value sets: what a column may not have is counted, and shown so that one sees what is wrong with it."""

import pyarrow as pa
import pytest

from ctr_retrain.models.data.value_sets import ColumnValues, ValueCount, compare_values


def table(*rows):
    return pa.table(
        {
            "name": pa.array([name for name, _, _ in rows], pa.string()),
            "value": pa.array([value for _, value, _ in rows], pa.string()),
            "rows": pa.array([count for _, _, count in rows], pa.int64()),
        }
    )


def test_unexpected_values_are_listed_by_their_rows_and_other_columns_are_left_out():
    found = compare_values(
        table(("os", "ios", 90), ("os", "b", 2), ("os", "a", 2), ("os", "toaster", 3), ("city", "Oslo", 9)),
        "os",
        ("ios", "web"),
    )
    assert found == ColumnValues(4, 3, 7, (ValueCount("toaster", 3), ValueCount("a", 2), ValueCount("b", 2)))
    assert (found.received, found.unlisted) == ("toaster, a, b", 0)


def test_only_the_most_frequent_are_listed_and_the_rest_is_counted():
    found = compare_values(table(*(("os", f"v{i}", i) for i in range(1, 51))), "os", ("v50",))
    assert [count.value for count in found.most_frequent] == [f"v{i}" for i in range(49, 29, -1)]
    assert (found.distinct, found.unexpected, found.unexpected_rows, found.unlisted) == (50, 49, 49 * 25, 29)
    assert found.received == "v49, v48, v47, v46, v45"


def test_a_column_with_allowed_values_alone_and_one_without_any_are_told_apart():
    assert compare_values(table(("os", "ios", 3)), "os", ("ios",)).received == "only these"
    assert compare_values(table(("city", "Oslo", 3)), "os", ("ios",)).received == "nothing"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("toaster", "toaster"),
        ('<b>O\'Neil & "sons"</b>', '<b>O\'Neil & "sons"</b>'),  # text: the page escapes it
        ("שלום", "שלום"),
        ("", "''"),
        ("ios ", "'ios '"),
        ("ios\n", r"'ios\n'"),
        ("\u202epots", r"'\u202epots'"),  # turns all that follows around
        ("i\u200bos", r"'i\u200bos'"),  # a space of no width
        ("\x00", r"'\x00'"),
        ("x" * 1_000_000, "x" * 100 + "… (1,000,000 characters)"),
        ("\n" * 101, repr("\n" * 100) + "… (101 characters)"),
    ],
)
def test_a_value_is_shown_as_it_is_where_that_tells_and_quoted_where_not(value, shown):
    assert ValueCount(value, 1).shown == shown
