"""Rules of formats of times: a recipe may name those that DuckDB reads, and no others."""

import string

import duckdb
import pytest

from ctr_retrain.models.time_format import SPECIFIERS, readable_time


def read_by_duckdb(connection, specifier):
    try:
        connection.execute("SELECT try_strptime('x', ?)", [f"%{specifier}"]).fetchall()
    except duckdb.Error:
        return False
    return True


def test_the_specifiers_that_a_recipe_may_name_are_those_that_duckdb_reads():
    letters = string.ascii_letters + string.digits + string.punctuation
    with duckdb.connect() as connection:
        read = {
            letter for letter in [*letters, *(f"-{letter}" for letter in letters)] if read_by_duckdb(connection, letter)
        }
    assert read == SPECIFIERS


@pytest.mark.parametrize("format_", ["%Y-%m-%d", "%d.%m.%y %H:%M", "%G-W%V-%u", "%Y%j", "%c", "%-d/%b/%Y 100%%"])
def test_a_format_that_tells_the_day_is_one(format_):
    assert readable_time(format_) == format_


@pytest.mark.parametrize(
    "format_", ["", "unix", "%", "%e", "%d-%m-%", "%H:%M", "%m-%d", "%Y %d", "%%Y-%%m-%%d", "%Ey-%m-%d"]
)
def test_a_format_that_no_day_can_be_read_by_is_none(format_):
    with pytest.raises(ValueError, match="expected iso, epoch_s, epoch_ms, epoch_us or a strptime format"):
        readable_time(format_)
