"""Rules of the calibration that is served: the layer answers what the formula says."""

import numpy as np
import pytest

from ctr_retrain.models.serving.bundle import CalibrationLayer
from ctr_retrain.models.serving.calibration import Calibration, fit_calibration
from tests.unit.models.serving.test_calibration import rows_with


@pytest.mark.parametrize("positives", [0, 20, 1000, 6000])
def test_the_served_layer_is_the_numpy_formula(positives):
    logit, label = rows_with(max(positives, 1))
    calibration = fit_calibration(logit, label * (positives > 0))
    wide = np.concatenate([logit, np.float32([-40, -15, 0, 15, 40])])
    layer = CalibrationLayer(calibration.to_json())
    assert np.abs(layer(wide[:, None]).numpy()[:, 0] - calibration.apply(wide)).max() < 1e-6
    again = CalibrationLayer.from_config(layer.get_config())
    assert np.array_equal(again(wide[:, None]).numpy(), layer(wide[:, None]).numpy())


def test_no_served_probability_is_0_or_1():
    extreme = np.array([-1e30, -100.0, 100.0, 1e30], np.float32)
    probability = CalibrationLayer(Calibration(method="identity", rows=0, positives=0).to_json())(
        extreme[:, None]
    ).numpy()
    assert (probability > 0).all()
    assert (probability < 1).all()


def test_a_logit_that_is_no_number_is_served_as_none():
    layer = CalibrationLayer(Calibration(method="identity", rows=0, positives=0).to_json())
    assert np.isnan(layer(np.array([[np.nan]], np.float32)).numpy()[0, 0])
