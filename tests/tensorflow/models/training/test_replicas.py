"""Rules of several replicas: virtual CPUs in place of GPUs, processes in place of machines; a part of a batch each."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.training.replicas import equal_parts
from tests.support.free_ports import free_addresses
from tests.support.repository import REPOSITORY


def start(way, target, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.training_worker", way, str(target)],
        cwd=REPOSITORY,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def outcomes(*processes):
    for process in processes:
        said = process.communicate()[1]
        assert process.returncode == 0, said[-4000:]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    target = tmp_path_factory.mktemp("one") / "one.npz"
    outcomes(start("one", target))
    return np.load(target)


def assert_trained_alike(found, one):
    assert one["replicas"] == 1
    assert found["replicas"] == 2
    assert found["history"][-1, 0] == one["history"][-1, 0]
    assert found["stopping_losses"] == pytest.approx(one["stopping_losses"], rel=2e-3)
    weights = [name for name in one.files if name.startswith("arr_")]
    assert weights
    for name in weights:
        np.testing.assert_allclose(found[name], one[name], rtol=0.05, atol=5e-3)


def test_two_devices_of_one_process_train_what_one_does(one, tmp_path):
    outcomes(start("devices", tmp_path / "two.npz"))
    assert_trained_alike(np.load(tmp_path / "two.npz"), one)


def test_two_processes_of_a_cluster_train_what_one_does_and_only_the_chief_writes(one, tmp_path):
    workers = free_addresses(2)
    cluster = [
        json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}) for index in (0, 1)
    ]
    targets = [tmp_path / f"{index}.npz" for index in (0, 1)]
    outcomes(*(start("workers", target, TF_CONFIG=config) for target, config in zip(targets, cluster, strict=True)))
    chief, other = map(np.load, targets)
    assert_trained_alike(chief, one)
    assert all(np.array_equal(chief[name], other[name]) for name in chief.files if name.startswith("arr_"))
    assert (bool(chief["chief"]), bool(other["chief"])) == (True, False)
    assert chief["saves"] > 0
    assert other["saves"] == 0
    assert chief["shared"][0] == other["shared"][0] == 0  # what the chief has, whatever the other one has
    assert np.array_equal(other["shared"], np.arange(5_000_000))  # more than is shared at once


@pytest.mark.parametrize(("rows", "replicas"), [(7, 2), (1, 4), (8, 4), (5, 3)])
def test_the_mean_of_the_parts_means_is_the_whole_batchs_mean(rows, replicas):
    rng = np.random.default_rng(rows)
    value, weight = rng.normal(size=(rows, 1)).astype(np.float32), rng.random(rows).astype(np.float32)
    inputs, label, weights = equal_parts(
        {"value": tf.constant(value)}, tf.constant(value), tf.constant(weight), replicas
    )
    assert inputs["value"].shape == label.shape == (replicas, -(-rows // replicas), 1)
    parts = np.mean(weights.numpy() * label.numpy()[:, :, 0], axis=1)
    assert parts.mean() == pytest.approx((weight * value[:, 0]).mean(), rel=1e-5)
