"""Rules of the calibration that is served: the layer answers what the formula says."""

import numpy as np
import pytest
import tensorflow as tf

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


def test_a_recalibrated_layer_moves_each_channel_by_its_shift_and_is_saved_with_it():
    logit, label = rows_with(20)
    calibration = fit_calibration(logit, label)
    channel = np.array(["ad", "push", "", "fax"] * (len(logit) // 4), object)
    logit = logit[: len(channel)]
    layer = CalibrationLayer(calibration.to_json(), {"ad": 0.3, "push": -0.2})
    again = CalibrationLayer.from_config(layer.get_config())
    moved = calibration.line(logit) + [0.3, -0.2, 0, 0] * (len(logit) // 4)
    for one in (layer, again):
        served = one(logit[:, None], tf.constant(channel)).numpy()[:, 0]
        assert served == pytest.approx(1 / (1 + np.exp(-moved)), abs=1e-6)


def test_a_shift_for_all_needs_no_channel():
    identity = Calibration(method="identity", rows=0, positives=0).to_json()
    served = CalibrationLayer(identity, {"": 0.5})(np.array([[0.0], [1.0]], np.float32)).numpy()
    assert served[:, 0] == pytest.approx(1 / (1 + np.exp([-0.5, -1.5])), abs=1e-6)


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
