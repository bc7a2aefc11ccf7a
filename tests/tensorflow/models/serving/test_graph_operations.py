"""A bundle loads nothing but a graph that computes: what reads, writes, prints or calls Python is refused unloaded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.serving.graph_operations import check_operations
from ctr_retrain.models.serving.scorer import Scorer

TEXT = tf.TensorSpec([None], tf.string)


def save(folder, answer):
    """A SavedModel whose signature answers by the function."""
    module = tf.Module()
    module.answer = tf.function(answer, input_signature=[TEXT])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.answer})


def writes(text, target):
    with tf.control_dependencies([tf.io.write_file(target, "written by a model")]):
        return {"probability": tf.ones_like(tf.strings.length(text), tf.float32)}


def prints(text, target):
    with tf.control_dependencies([tf.print("printed by a model", output_stream=f"file://{target}")]):
        return {"probability": tf.ones_like(tf.strings.length(text), tf.float32)}


def saves(text, target):
    save_operation = tf.raw_ops.SaveV2(prefix=target, tensor_names=["x"], shape_and_slices=[""], tensors=[1.0])
    with tf.control_dependencies([save_operation]):
        return {"probability": tf.ones_like(tf.strings.length(text), tf.float32)}


def calls_python(text, _):
    return {"probability": tf.numpy_function(lambda x: np.ones(len(x), np.float32), [text], tf.float32)}


def reads(text, target):
    return {"probability": tf.strings.to_number(tf.io.read_file(target)) * tf.ones([tf.size(text)])}


def reads_lines(text, target):
    first = next(iter(tf.data.TextLineDataset(target).map(tf.strings.to_number).take(1)))
    return {"probability": first * tf.ones([tf.size(text)])}


def reads_in_a_branch(text, target):
    return tf.cond(tf.size(text) > 100, lambda: reads(text, target), lambda: writes(text, target))


@pytest.mark.parametrize(
    ("answer", "operation"),
    [
        (writes, "WriteFile"),
        (prints, "PrintV2"),
        (saves, "SaveV2"),
        (calls_python, "PyFunc"),
        (reads, "ReadFile"),
        (reads_lines, "Dataset"),
        (reads_in_a_branch, "(Read|Write)File in cond_"),
    ],
)
def test_graph_that_does_more_than_compute_is_refused_before_it_is_loaded(tmp_path, monkeypatch, answer, operation):
    target = str(tmp_path / "target")
    save(tmp_path / "model", lambda text: answer(text, target))
    monkeypatch.setattr(tf.saved_model, "load", lambda _: pytest.fail("it was loaded"))
    with pytest.raises(StorageError, match=f"computes probabilities alone, received .*{operation}.*It was not loaded"):
        Scorer(tmp_path / "model")
    assert not (tmp_path / "target").exists()


def test_graph_with_variables_and_texts_is_one_that_computes(tmp_path):
    text = keras.Input((), dtype="string", name="text")
    row = keras.layers.Embedding(10, 4)(keras.layers.Hashing(10)(text))
    model = keras.Model({"text": text}, {"probability": keras.layers.Dense(1, activation="sigmoid")(row)})
    model.export(tmp_path / "model", verbose=False)
    check_operations(tmp_path / "model")
