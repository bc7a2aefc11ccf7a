"""Rules of DuckDB's databases: one is used again as if it were new, and never after a failure."""

import os
import random
import signal
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.tasks.execution import duck
from tests.support.counts import draws

THREADS = Path("/proc/self/task")


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch):
    monkeypatch.setattr(duck, "_left", [])


@pytest.fixture
def opened(monkeypatch):
    """Count the databases that are opened."""
    found = []
    monkeypatch.setattr(
        duckdb, "connect", lambda connect=duckdb.connect, **options: found.append(1) or connect(**options)
    )
    return found


def setting(connection, name):
    return connection.execute(f"SELECT current_setting('{name}')").fetchall()[0][0]


def test_a_database_is_used_again_without_anything_of_before(tmp_path, opened):
    with duck.connect(tmp_path / "first", threads=1) as connection:
        connection.execute("CREATE TABLE known AS SELECT 1 AS a")
        connection.execute('CREATE TABLE "it\'s ""odd" AS SELECT 1 AS a')
        connection.register("registered", pa.table({"a": [1]}))
        before = {name: setting(connection, name) for name in ("TimeZone", "threads", "disabled_optimizers")}
    with duck.connect(tmp_path / "second", threads=1) as connection:
        assert connection.execute("SHOW TABLES").fetchall() == []
        assert setting(connection, "temp_directory") == str(tmp_path / "second" / "spill")
        assert {name: setting(connection, name) for name in before} == before
    assert len(opened) == 1


def test_a_file_that_was_written_anew_is_read_anew_though_it_has_the_same_size_and_time(tmp_path):
    file = tmp_path / "a.parquet"
    for value in (1, 2, 3):
        pq.write_table(pa.table({"a": [value] * 10}), file)
        os.utime(file, ns=(10**18, 10**18))
        with duck.connect(tmp_path, threads=1) as connection:
            found = connection.execute("SELECT sum(a) FROM read_parquet(?)", [str(file)]).fetchall()
        assert found == [(10 * value,)]


def test_days_side_by_side_have_a_database_and_a_share_of_the_memory_each(tmp_path, opened):
    with duck.connect(tmp_path, threads=1) as outer:
        whole = setting(outer, "memory_limit")
        with duck.connect(tmp_path, threads=1) as inner:
            outer.execute("CREATE TABLE known AS SELECT 1 AS a")
            assert inner.execute("SHOW TABLES").fetchall() == []
    with duck.sharing(4), duck.connect(tmp_path, threads=1) as connection:
        quarter = setting(connection, "memory_limit")
    with duck.connect(tmp_path, threads=1) as connection:
        assert setting(connection, "memory_limit") == whole != quarter
    assert len(opened) == 2


def test_a_database_of_several_threads_is_left_with_one_and_used_again_with_any_number(tmp_path, opened):
    def connected(threads):
        with duck.connect(tmp_path, threads) as connection:
            connection.execute("SELECT sum(hash(range)) FROM range(1000000)").fetchall()
            return setting(connection, "threads")

    several = duck.cores()  # opens one to count them
    connected(1)
    alone = len(list(THREADS.iterdir()))  # those of the process and of the database itself
    for threads in (3, 1, None):
        assert connected(threads) == (threads or several)
        assert len(list(THREADS.iterdir())) <= alone
    assert len(opened) <= 2


def test_after_a_failure_or_a_spill_a_database_is_not_used_again(tmp_path):
    with pytest.raises(duckdb.CatalogException), duck.connect(tmp_path, threads=1) as connection:
        connection.execute("FROM nothing")
    assert not duck._left
    with duck.connect(tmp_path, threads=1):
        (tmp_path / "spill").mkdir()
    assert not duck._left


def test_a_damaged_database_is_not_used_again(tmp_path):
    with duck.connect(tmp_path, threads=1) as connection:
        connection.execute("CREATE SCHEMA other")
        connection.execute("CREATE TABLE other.known AS SELECT 1 AS a")  # which no later connection may find
    assert not duck._left


def test_a_forked_process_leaves_its_parents_databases_alone(tmp_path, opened, monkeypatch):
    for process in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        with duck.connect(tmp_path, threads=1):
            pass
    assert len(opened) == 2


@pytest.fixture
def stop_after():
    """Give a function that lets this process be stopped, as by Ctrl-C, so many seconds from now."""

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    yield partial(signal.setitimer, signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_what_stops_a_command_ends_its_query_and_is_no_error_of_duckdb(tmp_path, stop_after):
    def long_query():
        with duck.connect(tmp_path, threads=1) as connection:
            stop_after(0.2)
            connection.execute("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b").fetchall()

    with pytest.raises(KeyboardInterrupt):
        long_query()


def test_a_stop_is_a_stop_wherever_it_comes_upon_a_connection(tmp_path, stop_after):
    def work(cursor, item):
        return cursor.execute("SELECT sum(hash(range + ?)) FROM range(1000)", [item]).fetchall()

    def work_on():
        while True:
            with duck.connect(tmp_path, threads=1) as connection:
                connection.execute("CREATE TABLE known AS SELECT 1 AS a")
                duck.in_parallel(connection, work, range(3))

    moments = random.Random(7)  # noqa: S311
    for _ in range(draws(5, 1000)):
        stop_after(moments.uniform(0.005, 0.03))
        with pytest.raises(KeyboardInterrupt):
            work_on()
