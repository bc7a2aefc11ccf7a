"""Training in a process of its own on several replicas; a script: `python -m tests.support.training_worker WAY TARGET`.

WAY: "one"; "devices", two virtual CPUs of one process; "workers", as TF_CONFIG says. Writes weights and losses.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from ctr_retrain.models.training.device import choose_strategy, is_chief
from ctr_retrain.models.training.replicas import from_chief
from tests.support.toy_training import toy, trained

ROWS, BATCH = 4037, 250  # the last batch has 37 rows, which two replicas can't share equally


class Written:
    """Checkpoints that only count how often they are written."""

    saves = 0

    def due(self):
        return True

    def save(self, state):
        self.saves += 1

    def load(self):
        return None


def strategy_for(way):
    if way == "devices":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    return choose_strategy(workers=2 if way == "workers" else 1)


def main(way, target):
    strategy = strategy_for(way)
    rows, _ = toy(ROWS)
    kept_out, _ = toy(1001, seed=2)
    written = Written()
    options = {"epochs": 2, "batch_rows": BATCH, "checkpoints": written, "strategy": strategy}
    network, result = trained(rows, kept_out=kept_out, **options)
    np.savez(
        target,
        *network.get_weights(),
        history=np.array(result.history),
        stopping_losses=result.stopping_losses,
        replicas=result.replicas,
        chief=is_chief(strategy),
        shared=from_chief(np.arange(5_000_000, dtype=np.int32) if is_chief(strategy) else "no", strategy),
        saves=written.saves,
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
