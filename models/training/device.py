"""The devices that compute: one GPU, several, or the CPU; and several machines where TensorFlow's cluster is set up."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import tensorflow as tf

from ctr_retrain.models.errors import UsageError


def prepare_device(wanted: str = "auto") -> str:
    """Name what computes, such as "cpu", "gpu:0 NAME" or "2 gpus NAME", and let GPUs behave as one device among others.

    wanted: "auto" takes the GPUs that TensorFlow sees, else the CPU; "cpu" hides GPUs; "gpu" raises UsageError where
    there is none. Memory grows as needed, so that the fresh process that checks a bundle finds room beside the one that
    trained it, and products are full float32: with TF32, the default, scores would depend on the batch they come in.
    All of this can be set only before TensorFlow first computes: call it early. Calling it again is harmless.
    """
    if wanted == "cpu":
        with suppress(RuntimeError):  # TensorFlow computes already, and it is too late
            tf.config.set_visible_devices([], "GPU")
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        if wanted == "gpu":
            msg = (
                "CTR_RETRAIN_DEVICE: expected a GPU that TensorFlow sees, since it is 'gpu', received none "
                f"(TensorFlow {tf.__version__}, built {'with' if tf.test.is_built_with_cuda() else 'without'} CUDA). "
                "Look at nvidia-smi and install requirements-gpu.lock, or set it to 'auto' or 'cpu'."
            )
            raise UsageError(msg)
        return "cpu"
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    for gpu in gpus:
        with suppress(RuntimeError):  # TensorFlow computes already
            tf.config.experimental.set_memory_growth(gpu, enable=True)
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "")
    return (f"gpu:0 {name}" if len(gpus) == 1 else f"{len(gpus)} gpus {name}").strip()


def choose_strategy(workers: int = 1) -> Any:
    """Choose how training is spread: over machines, over the GPUs of one, or not at all.

    workers: machines in the cluster that TF_CONFIG describes; with more than one, the call waits for all of them, and
    nothing may have been computed before.
    """
    if workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.get_visible_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy: Any) -> bool:
    """Return True if this process is the one of its cluster that writes; without a cluster it is."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec().jobs:
        return True
    # A cluster may have a chief of its own; where it has none, its first worker is.
    return resolver.task_type == "chief" or (
        "chief" not in resolver.cluster_spec().jobs and resolver.task_type == "worker" and resolver.task_id == 0
    )
