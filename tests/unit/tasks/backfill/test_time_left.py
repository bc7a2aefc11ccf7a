"""Rules of the time that is left of a backfill: by what its own days took, and before any tells, by what is usual."""

import pytest

from ctr_retrain.tasks.backfill.backfill_clock import INGESTING, VALIDATING, BackfillClock
from ctr_retrain.tasks.backfill.time_left import StepsAfterStart, StepsInOrder, StepsSideBySide
from tests.support.simulated_backfill import simulated_backfill

BACKFILLS = 60


@pytest.mark.parametrize(("surprises", "known", "least"), [(0, 1, 0.97), (0, 0, 0.94), (1, 1, 0.94), (1, 0, 0.91)])
@pytest.mark.parametrize("trains", [True, False])
def test_from_a_fifth_of_the_way_on_the_time_left_is_right_within_a_quarter(surprises, known, trains, least):
    """Days are missing, restated, rejected, or their run is found; one to four at once; windows grow at first."""
    told = [
        one
        for seed in range(BACKFILLS)
        for one in simulated_backfill(seed, trains=trains, known=known, surprises=surprises)
        if one.at >= one.whole / 5 and one.true and one.left is not None
    ]
    right = sum(abs(one.left - one.true) <= one.true / 4 for one in told)
    assert len(told) > 10 * BACKFILLS
    assert right / len(told) >= least


@pytest.mark.parametrize("trains", [True, False])
def test_where_nights_have_told_there_is_always_a_word_and_without_them_once_a_run_has_told(trains):
    for seed in range(10):
        assert all(one.left is not None for one in simulated_backfill(seed, trains=trains))
        words = [one.left for one in simulated_backfill(seed, trains=trains, known=False)]
        assert words[-1] == 0
        assert None not in words[words.index(next(one for one in words if one is not None)) :]


def test_runs_take_a_fixed_part_and_one_by_their_size_and_those_without_a_size_are_quick():
    steps = StepsInOrder([1, 2, 0, 4, 0], None)
    assert steps.left() is None
    for seconds in (12, 14, 0.5):
        steps.done(seconds)
    assert steps.left() == pytest.approx(18 + 0.5)  # 10 and 2 by the size, and a quick one


def test_what_is_usual_counts_as_a_run_of_the_largest_size():
    steps = StepsInOrder([1, 1, 4], 40)
    assert steps.left() == pytest.approx(3 * 20 + 6 * 5)  # half fixed, half by the size, before any is done
    steps.done(10)
    assert steps.left() == pytest.approx(10 + 40)


def test_days_under_way_count_for_half():
    steps = StepsSideBySide([4, 4, 4, 4], 2, 100)
    assert steps.left(0, 10) == 90
    assert steps.left(1, 9) == pytest.approx(9 * (16 - 6) / 6)
    assert steps.left(4, 30) == 0
    assert StepsSideBySide([], 2, None).left(0, 0) == 0


def test_a_librarys_start_is_no_measure_of_the_steps_behind_it():
    steps = StepsAfterStart(11, 3)
    assert steps.left(0, 1) == pytest.approx(2 + 1.1)
    assert steps.left(1, 4) == pytest.approx(1)
    assert steps.left(3, 5) == pytest.approx(8 * 0.5)


def test_lines_say_how_far_it_is_at_most_every_quarter_of_a_minute_and_behind_each_run(capsys):
    shares, now = [], [0.0]
    steps = StepsSideBySide([1, 1], 1, None), StepsAfterStart(2, 0), StepsInOrder([1, 1], None)
    clock = BackfillClock(*steps, lambda share, words: shares.append(share), lambda: now[0])
    for at, what in ((60, INGESTING), (61, VALIDATING)):
        now[0] = at
        clock.heard(what, 1, 2)
    clock.begin_runs([5, 5])
    now[0] = 121
    clock.heard("scoring", 1, 2)  # a stage, which is none of its own
    clock.ran(60)
    clock.end()
    assert capsys.readouterr().err.splitlines() == [
        "backfill: ingesting: 1 of 2 days; how long is left isn't known yet: no run tells how long one takes",
        "backfill: 2 days are to train; how long is left isn't known yet: no run tells how long one takes",
        "backfill: 1 of 2 days that train are done; about 1 min 0 s left",
    ]
    assert shares == [0, 0, pytest.approx(121 / 181), 1]
