"""What a pass through young labels is worth where tastes drift, and what it costs to take such labels as final.

All are judged by the day after D, and against a pass through the same days with the labels that they will have in the
end, whose sampling errors are the same.
"""

import pytest

from ctr_retrain.models.simulation.scenarios import DriftingTastes
from tests.support.counts import draws
from tests.support.drifting_days import answers

TASTES = DriftingTastes(sd=0.8, memory_days=7)


@pytest.fixture(scope="module")
def found():
    return [answers(seed, rows_per_day=20_000, tastes=TASTES) for seed in draws([1, 2], range(1, 5))]


def push_level(found, model):
    """Predicted to seen clicks of all worlds' pushes on the next day, some 300 clicks a world, and twice its error."""
    predicted, seen = zip(*(by_name[model].push_sums for by_name in found), strict=True)
    return sum(predicted) / sum(seen), 2 / sum(seen) ** 0.5


def test_the_next_day_the_fresh_model_beats_the_one_that_was_evaluated(found):
    gains = [by_name["evaluated"].log_loss - by_name["observed"].log_loss for by_name in found]
    assert min(gains) > 0.001


def test_young_labels_seen_through_their_maturity_teach_the_level_of_the_final_ones(found):
    for by_name in found:
        ratio = by_name["observed"].push_sums[0] / by_name["hindsight"].push_sums[0]
        assert 0.95 < ratio < 1.05
    level, chance = push_level(found, "observed")
    assert abs(level - 1) < chance


def test_young_labels_taken_as_final_teach_too_low_a_level(found):
    for by_name in found:
        assert by_name["final"].push_sums[0] / by_name["hindsight"].push_sums[0] < 0.95
    level, chance = push_level(found, "final")
    assert level < 1 - chance
