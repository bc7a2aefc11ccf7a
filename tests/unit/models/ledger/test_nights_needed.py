"""Rules of power: fewer nights for larger differences, and as many as it then really takes."""

import pytest

from ctr_retrain.models.ledger.anytime import anytime_half_width, e_value
from ctr_retrain.models.ledger.nights_needed import nights_to_change, nights_to_refresh, smallest_difference


def test_the_smallest_difference_is_2_8_standard_errors():
    assert smallest_difference(1.0, 0.95) == pytest.approx(1.96 + 0.8416, abs=1e-3)


def test_a_change_takes_the_nights_after_which_its_evidence_is_enough():
    nights = nights_to_change(0.25, 0.3, 40, 8)
    assert e_value(nights * 0.25, nights * 0.09, 8 * 0.09) >= 40
    assert e_value((nights - 1) * 0.25, (nights - 1) * 0.09, 8 * 0.09) < 40
    assert nights_to_change(0.5, 0.3, 40, 8) < nights
    assert nights_to_change(0.25, 0.3, 400, 8) > nights
    assert nights_to_change(0.0, 0.3, 40, 8) is None
    assert nights_to_change(-1.0, 0.3, 40, 8) is None
    assert nights_to_change(1e-6, 0.3, 40, 8) is None
    assert nights_to_change(1.0, 0.0, 40, 8) == 1


def test_a_refresh_takes_the_nights_after_which_its_limit_is_within_the_margin():
    nights = nights_to_refresh(0.1, 0.3, 0.5, 0.95, 0.5)
    assert anytime_half_width(nights * 0.09, 0.5 * 0.09, 0.1) <= nights * 0.4
    assert anytime_half_width((nights - 1) * 0.09, 0.5 * 0.09, 0.1) > (nights - 1) * 0.4
    assert nights_to_refresh(0.5, 0.3, 0.5, 0.95, 0.5) is None
    assert nights_to_refresh(-5.0, 0.3, 0.5, 0.95, 0.5) == 1
