"""Rules of the progress that is told where there is no terminal."""

import pytest

from ctr_retrain.tasks.execution import progress
from ctr_retrain.tasks.execution.progress import SECONDS_BETWEEN_LINES, progress_of


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def told(clock, capsys, reports):
    with progress_of("training", "rows") as report:
        for second, done, total in reports:
            clock[0] = 100.0 + second
            report(done, total)
    return capsys.readouterr().err.splitlines()


def test_a_line_tells_rows_a_second_and_the_time_left(clock, capsys):
    lines = told(clock, capsys, [(0, 0, 9_000), (SECONDS_BETWEEN_LINES, 3_000, 9_000)])
    assert lines == ["training: 3,000 of 9,000 rows, 200 rows/s, 30 s left"]


def test_resumed_work_does_not_count_what_an_earlier_process_did(clock, capsys):
    lines = told(clock, capsys, [(10, 6_000, 9_000), (10 + SECONDS_BETWEEN_LINES, 7_500, 9_000)])
    assert lines == ["training: 7,500 of 9,000 rows, 100 rows/s, 15 s left"]


def test_lines_come_no_oftener_than_every_few_seconds_and_once_at_the_end(clock, capsys):
    lines = told(clock, capsys, [(second, second * 100, 4_000) for second in range(41)])
    assert [line.split()[1] for line in lines] == ["1,500", "3,000", "4,000"]


def test_work_that_is_over_at_once_says_nothing(clock, capsys):
    assert told(clock, capsys, [(0, 0, 10), (1, 10, 10)]) == []
