"""Rules of what computes: the device that was asked for, or words why not."""

import pytest
import tensorflow as tf

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.training.device import choose_strategy, is_chief, prepare_device

HAS_GPU = bool(tf.config.list_physical_devices("GPU"))


@pytest.mark.skipif(HAS_GPU, reason="there is one")
def test_a_gpu_that_is_not_there_is_wrong_use_with_what_to_do():
    with pytest.raises(UsageError, match=r"CTR_RETRAIN_DEVICE: expected a GPU .* received none .*nvidia-smi") as no_gpu:
        prepare_device("gpu")
    assert no_gpu.value.exit_code == 2


@pytest.mark.skipif(HAS_GPU, reason="there is one")
def test_auto_says_what_it_took():
    assert prepare_device("auto") == "cpu"
    assert prepare_device("cpu") == "cpu"


@pytest.mark.skipif(HAS_GPU, reason="there is one")
def test_one_device_is_no_cluster_and_writes_itself():
    strategy = choose_strategy()
    assert strategy.num_replicas_in_sync == 1
    assert is_chief(strategy)


@pytest.mark.parametrize("count", [1, 2])
def test_each_gpu_takes_memory_as_it_needs_it_and_computes_full_float32(monkeypatch, count):
    gpus, growing, tensor_float = [f"GPU:{number}" for number in range(count)], {}, []
    config = tf.config.experimental
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus if kind == "GPU" else [])
    monkeypatch.setattr(config, "set_memory_growth", lambda gpu, enable: growing.update({gpu: enable}))
    monkeypatch.setattr(config, "enable_tensor_float_32_execution", lambda *, enabled: tensor_float.append(enabled))
    monkeypatch.setattr(config, "get_device_details", lambda _gpu: {"device_name": "A"})
    for wanted in ("auto", "gpu"):
        assert prepare_device(wanted) == ("gpu:0 A" if count == 1 else "2 gpus A")
    assert growing == dict.fromkeys(gpus, True)
    assert not any(tensor_float)
    assert tensor_float
