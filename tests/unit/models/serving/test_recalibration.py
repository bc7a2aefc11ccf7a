"""Rules of the level after the verdict: how far it follows the newest labels, and when it may not serve."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.serving.recalibration import (
    CHANNEL_SD,
    LEVEL_SD,
    WALK_SDS,
    MatureRows,
    check_level,
    fit_level,
    shift_text,
    shifted,
)

FIRST = date(2026, 3, 1).toordinal()
SERVED = FIRST + 12
GATE = Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1)


def rows_of(cells, probability=0.1):
    """Rows of a model that answers one probability. cells: (channel, day, rows, positives); the last two days are V."""
    rng = np.random.default_rng(1)
    parts = [
        # In any order: each block of rows that is held out shall have positives.
        (np.full(rows, channel), np.full(rows, FIRST + day), rng.permutation(np.arange(rows) < positives))
        for channel, day, rows, positives in cells
    ]
    channel, day, label = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    logit = np.full(len(label), np.log(probability / (1 - probability)))
    return MatureRows(logit, label.astype(np.uint8), channel, day, day >= day.max() - 1)


def shift_of(cells, **given):
    (own,) = fit_level(rows_of(cells, **given), SERVED)
    return own


def test_where_the_days_agree_with_the_model_nothing_moves():
    found = fit_level(rows_of([(c, d, 1000, 100) for c in ("ad", "push") for d in range(9)]), SERVED)
    assert [(own.channel, own.rows, own.positives) for own in found] == [("ad", 9000, 900), ("push", 9000, 900)]
    assert [own.predicted for own in found] == pytest.approx([900, 900])
    assert [own.shift for own in found] == pytest.approx([0, 0], abs=1e-4)


def test_one_day_of_one_channel_is_drawn_towards_0_by_its_error():
    own = shift_of([("ad", 0, 1000, 106)])
    # 106 positives where 100 were predicted are no evidence of a walk or of days that differ. Then the mode is where
    # shift = prior variance · (positives − predicted at the shift), and the error that of a normal prior and counts.
    prior = LEVEL_SD**2 + CHANNEL_SD**2
    share = 1 / (1 + 9 * np.exp(-own.shift))
    assert own.shift == pytest.approx(prior * (106 - 1000 * share), rel=1e-6)
    assert 0 < own.shift < np.log((106 / 894) / (100 / 900))
    walked = prior + min(WALK_SDS) ** 2 * (SERVED - FIRST)
    explained = prior**2 / (prior + 1 / (1000 * share * (1 - share)))
    assert own.standard_error == pytest.approx((walked - explained) ** 0.5, rel=1e-6)


def test_the_more_positives_the_nearer_the_shift_comes_to_what_they_say():
    full = np.log((0.12 / 0.88) / (0.1 / 0.9))
    few, some, many = (shift_of([("ad", d, rows, rows * 12 // 100) for d in range(9)]) for rows in (100, 1000, 100_000))
    assert 0 < few.shift < some.shift < many.shift
    assert many.shift == pytest.approx(full, rel=0.02)
    assert few.standard_error > some.standard_error > many.standard_error > 0


def test_a_channel_of_few_rows_goes_along_with_the_others():
    cells = [("ad", d, 20_000, 2_600) for d in range(9)] + [("push", d, 20, 2) for d in range(9)]
    ad, push = fit_level(rows_of(cells), SERVED)
    assert ad.shift == pytest.approx(np.log((0.13 / 0.87) / (0.1 / 0.9)), rel=0.05)
    assert 0.5 * ad.shift < push.shift < ad.shift
    assert push.standard_error > ad.standard_error


def test_a_channel_with_evidence_of_its_own_moves_by_itself():
    cells = [("ad", d, 20_000, 2_000) for d in range(9)] + [("push", d, 20_000, 2_300) for d in range(9)]
    ad, push = fit_level(rows_of(cells), SERVED)
    assert abs(ad.shift) < 0.02
    assert push.shift == pytest.approx(np.log((0.115 / 0.885) / (0.1 / 0.9)), rel=0.15)


def test_where_the_level_moves_from_day_to_day_the_newest_days_count_most():
    moving = shift_of([("ad", d, 50_000, 5_000 + 200 * d) for d in range(9)])
    newest = np.log((0.132 / 0.868) / (0.1 / 0.9))
    mean = np.log((0.116 / 0.884) / (0.1 / 0.9))
    assert moving.shift == pytest.approx(newest, abs=0.03)
    assert moving.shift > mean + 0.1


def test_the_error_grows_with_the_days_until_it_serves():
    rows = rows_of([("ad", d, 5_000, 500) for d in range(9)])
    near, far = (fit_level(rows, FIRST + day)[0] for day in (9, 30))
    assert far.standard_error > near.standard_error
    assert far.shift == pytest.approx(near.shift)  # a random walk is expected to stay where it is


@settings(max_examples=30, deadline=None)
@given(
    cells=st.lists(
        st.tuples(st.sampled_from(["ad", "push", "mail"]), st.integers(0, 9), st.integers(1, 60), st.integers(0, 60)),
        min_size=1,
        max_size=12,
        unique_by=lambda cell: cell[:2],
    ),
    probability=st.sampled_from([1e-6, 0.001, 0.1, 0.5, 0.999]),
)
def test_any_counts_give_a_finite_shift_towards_what_was_seen(cells, probability):
    rows = rows_of(cells, probability=probability)
    for own in fit_level(rows, SERVED):
        assert np.isfinite(own.shift)
        assert 0 < own.standard_error < 1
    if len({channel for channel, *_ in cells}) == 1:
        gap = own.positives - own.predicted
        assert abs(own.shift) < 1e-6 or own.shift * gap > 0 or abs(gap) < 1e-3 * own.rows
    moved = shifted(rows.logit, rows.channel, fit_level(rows, SERVED))
    assert np.isfinite(moved).all()


@pytest.mark.parametrize("positives", [0, 1000])
def test_days_without_positives_or_of_nothing_else_move_the_level_by_a_bounded_amount(positives):
    own = shift_of([("ad", d, 1000, positives) for d in range(9)])
    assert np.sign(own.shift) == (1 if positives else -1)
    assert np.isfinite(own.shift)


def test_rows_of_a_channel_without_a_shift_stay_and_one_for_all_moves_every_row():
    (own,) = fit_level(rows_of([("ad", 0, 1000, 200)]), SERVED)
    logit, channel = np.array([0.0, 0.0]), np.array(["ad", "push"])
    assert shifted(logit, channel, [own]) == pytest.approx([own.shift, 0])
    everywhere = own.model_copy(update={"channel": ""})
    assert shifted(logit, channel, [everywhere]) == pytest.approx([own.shift, own.shift])


def test_the_words_have_each_channel_and_its_error():
    ad, push = fit_level(rows_of([(c, d, 1000, 100) for c in ("ad", "push") for d in range(9)]), SERVED)
    moved = [ad.model_copy(update={"shift": 0.1, "standard_error": 0.03}), push.model_copy(update={"channel": ""})]
    assert shift_text(moved).startswith("ad +10.5 % (± 3.0), all channels ")


def checks_of(rows, shifts=None):
    return check_level(rows, fit_level(rows, SERVED) if shifts is None else shifts, SERVED, GATE)


def test_a_level_that_validation_rows_confirm_may_serve():
    rows = rows_of([("ad", d, 5000, 600) for d in range(9)])
    shift, held_out = checks_of(rows)
    assert shift.passed
    assert held_out.passed
    assert held_out.value > 0
    assert held_out.message.startswith("Recalibrated level on 5,000 validation rows that it was not fitted on")


def test_a_level_that_is_right_already_is_seldom_called_worse():
    rng = np.random.default_rng(7)
    failed = 0
    for _ in range(60):
        rows = rows_of([("ad", d, 2000, 100) for d in range(4)], probability=0.05)
        chance = replace(rows, label=(rng.random(len(rows.label)) < 0.05).astype(np.uint8))
        failed += not checks_of(chance)[1].passed
    assert failed <= 3  # 0.4 expected


def test_a_level_that_held_out_validation_rows_deny_may_not_serve(monkeypatch):
    rows = rows_of([("ad", d, 5000, 500) for d in range(9)])
    (own,) = fit_level(rows, SERVED)
    wrong = own.model_copy(update={"shift": 0.4})
    monkeypatch.setattr("ctr_retrain.models.serving.recalibration.fit_level", lambda *_: (wrong,))
    shift, held_out = checks_of(rows, [wrong])
    assert shift.passed
    assert not held_out.passed


@pytest.mark.parametrize("shift", [0.51, -0.51, np.nan, np.inf])
def test_a_shift_that_is_too_large_or_no_number_may_not_serve(shift):
    rows = rows_of([("ad", d, 1000, 100) for d in range(9)])
    (own,) = fit_level(rows, SERVED)
    first, _ = checks_of(rows, [own.model_copy(update={"shift": shift})])
    assert not first.passed


def test_no_rows_to_check_by_fail_closed():
    rows = rows_of([("ad", d, 1000, 100) for d in range(9)])
    none = rows.where(~rows.validates)
    assert not checks_of(none)[1].passed
    assert not checks_of(rows, [])[0].passed
