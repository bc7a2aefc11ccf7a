"""Rules of what computes: the device that was asked for, or words why not."""

import pytest
import tensorflow as tf

from models.device import choose_strategy, is_chief, prepare_device
from models.errors import UsageError

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
