"""What computes: the first GPU where TensorFlow sees one, else the CPU."""

from __future__ import annotations

from contextlib import suppress

import tensorflow as tf


def prepare_device() -> str:
    """Name what computes, "cpu" or "gpu:0" and its name, and let a GPU behave like one device among others.

    Its memory grows as needed, so that the fresh process that checks a bundle finds room beside the one that trained
    it, and products are full float32: with TF32, the default, scores would depend on the batch they come in. Memory
    growth can be set only before TensorFlow first computes: call this early. Calling it again is harmless.
    """
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        return "cpu"
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    for gpu in gpus:
        with suppress(RuntimeError):  # TensorFlow computes already, and it is too late
            tf.config.experimental.set_memory_growth(gpu, enable=True)
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "")
    return f"gpu:0 {name}".strip()
