"""The slices' veto: exact limits, what abstains, what is no worse than before, and segments that are found."""

import numpy as np
import pytest
from scipy.special import pdtr, pdtrc

from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.gate.judge import judge
from ctr_retrain.models.judged_slices.count_ratios import ratio_limits, shrink, sum_slices, surprise
from ctr_retrain.models.judged_slices.judge_slices import CALIBRATION, NIGHTS, judge_slices, slice_checks
from ctr_retrain.models.judged_slices.slice_rows import family_of, fifths, marked
from ctr_retrain.models.judging.judged_rows import JudgedRows
from tests.benchmarks.gate_plants import PLANTS, RECIPE, draw, rejected

GATE = RECIPE.gate


def night(*campaigns):
    """Rows of campaigns, each with its rows, positives, and what challenger and champion predict an impression."""
    counts = [rows for rows, *_ in campaigns]
    label = np.concatenate([np.arange(rows) < positives for rows, positives, *_ in campaigns]).astype(int)
    ours, theirs = (np.repeat([one[place] for one in campaigns], counts) for place in (2, 3))
    size = len(label)
    return JudgedRows(
        label=label,
        challenger=ours,
        champion=theirs,
        channel=np.full(size, "ad"),
        user_bucket=np.arange(size) % 256,
        campaign=np.repeat(np.arange(len(campaigns)), counts),
        day=np.zeros(size, int),
    )


def judged(rows, **gate):
    recipe = RECIPE.model_copy(update={"gate": GATE.model_copy(update=gate)})
    families = [family_of("campaign_id", rows.campaign)]
    part = judge_slices(rows, families, families, recipe)
    return part, slice_checks(part, recipe.gate)


SOUND = (20_000, 400, 0.02, 0.02)
OFF = (3000, 60, 0.06, 0.02)


def test_limits_are_those_of_an_exact_count():
    sums = sum_slices(np.zeros(3000, int), 1, np.arange(3000) < 60, np.full(3000, 0.06), np.full(3000, 0.02), None)
    low, high = (float(limit[0]) for limit in ratio_limits(sums, 1e-6))
    assert pdtr(60, 180 / low) == pytest.approx(1e-6, rel=1e-6)
    assert pdtrc(59, 180 / high) == pytest.approx(1e-6, rel=1e-6)
    assert surprise(sums, 1.0)[0] == pytest.approx(2 * pdtr(60, 180), rel=1e-6)


def test_a_campaign_predicted_three_times_too_high_rejects_a_model_that_is_well_on_the_whole():
    part, (check,) = judged(night(SOUND, SOUND, SOUND, OFF))
    assert [one.state for one in part.slices] == ["passed", "passed", "passed", "vetoed"]
    assert not check.passed
    assert "campaign_id = 3 with 3,000 rows: 180 positives predicted, 60 seen" in check.message
    assert part.found[0].name == "campaign_id = 3"


def test_slices_of_a_family_share_its_error_by_their_rows():
    part, _ = judged(night(SOUND, (5000, 100, 0.02, 0.02)))
    chances = [2 * pdtr(one.positives, one.predicted / one.low) for one in part.slices]
    assert sum(chances) == pytest.approx(CALIBRATION * GATE.false_slice_vetoes_per_year / NIGHTS, rel=1e-6)
    assert chances[0] == pytest.approx(4 * chances[1], rel=1e-6)


def test_where_the_champion_is_as_far_off_no_harm_is_done():
    part, (check,) = judged(night(SOUND, SOUND, SOUND, (3000, 60, 0.06, 0.065)))
    assert part.slices[-1].state == "no worse than before"
    assert check.passed
    assert "As far off as before, or less: campaign_id = 3" in check.message


def test_a_slice_under_the_floor_abstains_aloud():
    part, (check,) = judged(night(SOUND, SOUND, SOUND, (400, 8, 0.06, 0.02)))
    assert (len(part.slices), part.abstained) == (3, 1)
    assert "of 1 smaller ones, with up to 1 % of the rows, nothing can be said" in check.message


def test_a_slice_that_is_surely_dearer_rejects_though_its_level_is_right():
    rows = night((20_000, 400, 0.03, 0.02), (20_000, 400, 0.03, 0.02))
    # In one campaign the champion sends the clicks alone, which saves 0.02 on each of 980 impressions in 1,000.
    theirs = np.where(rows.campaign == 1, np.where(rows.label == 1, 0.5, 0.01), 0.03)
    dear = JudgedRows(**{**vars(rows), "champion": theirs})
    part, (check,) = judged(dear)
    assert [one.state for one in part.slices] == ["passed", "vetoed"]
    assert part.slices[1].cost_delta_per_1000.value == pytest.approx(1000 * 0.02 * 0.98)
    assert not check.passed
    assert judged(dear, max_slice_cost_delta_per_1000=30.0)[1][0].passed


def test_found_segments_veto_only_where_the_recipe_lets_them():
    rows = night(SOUND, SOUND, SOUND, OFF)
    families = [family_of("campaign_id", rows.campaign)]
    for veto in (False, True):
        gate = GATE.model_copy(update={"found_segments_veto": veto})
        part = judge_slices(rows, [], families, RECIPE.model_copy(update={"gate": gate}))
        assert [check.passed for check in slice_checks(part, gate)] == ([True, False] if veto else [True])


def test_ratios_are_drawn_towards_the_whole_by_their_own_uncertainty():
    code = np.repeat([0, 1, 2], [20_000, 20_000, 100])
    label = np.concatenate([np.arange(20_000) < 300, np.arange(20_000) < 500, np.arange(100) < 1])
    sums = sum_slices(code, 3, label, np.full(len(code), 0.02), np.full(len(code), 0.02), None)
    large, _, small = shrink(sums, 1.0)
    assert 1.2 < large < 400 / 300
    assert abs(np.log(small)) < 0.2 * np.log(2.5 / 1.5)


def test_numbers_are_divided_into_fifths_and_missing_ones_are_in_none():
    family = fifths("age", np.array([*range(100), np.nan]))
    assert np.bincount(family.code[:-1]).tolist() == [20] * 5
    assert family.code[-1] == -1
    assert marked("user_id", "new", np.array([True, False])).code.tolist() == [0, -1]


def test_the_gate_rejects_by_a_slice_and_keeps_the_cost_as_its_last_word():
    rows, recipe = night(SOUND, SOUND), RECIPE.model_copy(update={"channels": {"ad": RECIPE.channels["ad"]}})
    failed = Check(name="slices", value=1, bound=0, passed=False, message="one is off", kind="harm")
    assert judge(rows, recipe, same_recipe=True).decision == "promote"
    vetoed = judge(rows, recipe, same_recipe=True, slices=[failed])
    assert vetoed.decision == "reject"
    assert vetoed.reason == "Rejected. one is off"
    assert [check.name for check in vetoed.checks][-2:] == ["slices", "cost_delta_per_1000"]


@pytest.mark.parametrize("plant", [PLANTS[1], PLANTS[3], PLANTS[5]], ids=lambda plant: plant.name)
def test_planted_faults_are_rejected_and_slices_on_their_bounds_are_not(plant):
    assert rejected(draw(np.random.default_rng([17, 0]), plant, 0.04)) is plant.faulty()
