"""Rules of networks that a recipe brings along: found, checked, told apart by source, and served without their code."""

import importlib
import json
import shutil
import sys
from datetime import UTC, datetime

import numpy as np
import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.training.saved_network import rebuild_network
from ctr_retrain.tasks.deploy.publish_model import deploy_challenger
from ctr_retrain.tasks.execution.code_digest import code_digest, code_of
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.plan.choose_start import open_source_model
from ctr_retrain.tasks.plan.plan_run import plan_run
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.flow_answers import daily
from tests.support.known_values import of_rows
from tests.support.small_world import NEXT_DAY, RUN_DAY, copy_days, write_recipe

FEATURES = (of_rows(Categorical(name="user"), 50), Numeric(name="age", encoding="standardized"))
STATE = NumericState((False,), (3.0,), (2.0,))
TWO_TOWERS = """
import keras

@keras.saving.register_keras_serializable("somebody")
class Scaled(keras.layers.Layer):
    def call(self, inputs):
        return 0.5 * inputs

def build(embedded, numeric, training):
    ids = keras.layers.Flatten()(Scaled()(embedded))
    hidden = keras.layers.Dense(training.hidden_units[0], "relu")(keras.layers.Concatenate()([ids, numeric]))
    return keras.layers.Dense(1)(hidden)
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a module that recipes can name; it is forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text, name="somebodys_networks"):
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        return path

    yield write
    for name in [name for name in sys.modules if name.startswith("somebodys_")]:
        del sys.modules[name]


def recipe(network="somebodys_networks:build"):
    return Recipe(
        name="own",
        channels={"ad": Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))},
        features=FEATURES,
        training=Training(network=network, embedding_dim=3, hidden_units=(8,)),
        gate=Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1),
    )


def built(network="somebodys_networks:build"):
    return build_network(recipe(network), STATE, -4.25, 7)


def returning(expression):
    return f"import keras\ndef build(embedded, numeric, training):\n    return {expression}\n"


def test_a_function_from_inputs_to_logits_is_a_network(written):
    written(TWO_TOWERS)
    logit = built()({"ids": np.zeros((5, 1), np.int32), "numeric": np.full((5, 1), np.nan, np.float32)})
    assert logit.shape == (5, 1)
    assert logit.numpy() == pytest.approx(-4.25, abs=2)


def test_it_gets_embeddings_with_a_linear_column_standardised_numbers_and_the_recipes_training(written):
    written(
        returning("keras.layers.Dense(1)(numeric)").replace(
            "    return",
            "    assert embedded.shape == (None, 1, 3 + 1)\n"
            "    assert numeric.shape == (None, 2)\n"
            "    assert training.hidden_units == (8,)\n    return",
        )
    )
    built()


def test_it_starts_at_the_base_log_odds_without_knowing_them(written):
    written(returning("0.0 * keras.ops.sum(embedded, axis=1)[:, -1:]"))
    assert built()({"ids": np.zeros((2, 1)), "numeric": np.zeros((2, 1))}).numpy() == pytest.approx(-4.25)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"expected an importable module somebodys_networks, received.*PYTHONPATH"),
        ("build = 3", r"expected a function build in .*somebodys_networks.py, received a int"),
        ("other = 3", r"expected a function build in .*, received none of that name"),
        ("1 / 0", r"expected that somebodys_networks can be imported, received ZeroDivisionError"),
        (returning("embedded"), r"expected one logit a row, .* received \(None, 1, 4\)\. End it in"),
        (returning("keras.layers.Dense(2)(numeric)"), r"shape \(None, 1\), received \(None, 2\)"),
        (returning("1.0"), r"expected one logit a row, a Keras tensor .*, received a float"),
        (returning("keras.layers.Dense(1)(numeric + training.no_such_key)"), r"received AttributeError: .*no_such_key"),
        (
            returning("keras.layers.Dense(1)(numeric) / 0.0"),
            r"expected finite logits before training, received \[-?(nan|inf).*division by zero",
        ),
    ],
    ids=["no module", "not callable", "no attribute", "broken module", "shape", "two logits", "float", "raises", "nan"],
)
def test_what_is_wrong_with_a_network_is_said(written, text, words):
    if text is not None:
        written(text)
    with pytest.raises(UsageError, match=r"network 'somebodys_networks:build': .*" + words):
        built()


@pytest.mark.parametrize("network", ["lstm", "module:", ":build", "a/b:build", "module:a.b", "module:build:more"])
def test_other_names_are_refused_with_the_recipe(network):
    with pytest.raises(ValueError, match=r"expected logistic_regression, deepfm, dcn_v2 or package\.module:function"):
        Training(network=network)


def test_a_networks_name_and_source_are_part_of_the_code_that_a_run_records(written):
    file = written(TWO_TOWERS)
    before = code_of(recipe())
    assert before.startswith(f"{code_digest()} somebodys_networks:build@")
    assert code_of(recipe()) == before
    file.write_text(TWO_TOWERS.replace("0.5", "0.25"), encoding="utf-8")
    assert code_of(recipe()) != before
    assert code_of(recipe("deepfm")) == code_digest()


def test_a_change_anywhere_in_the_networks_package_counts(written):
    written("", "somebodys_package.__init__")
    other = written("scale = 1", "somebodys_package.parts")
    written(returning("keras.layers.Dense(1)(numeric)"), "somebodys_package.networks")
    own = recipe("somebodys_package.networks:build")
    before = code_of(own)
    other.write_text("scale = 2", encoding="utf-8")
    assert code_of(own) != before


def test_a_network_that_is_not_there_is_wrong_use_before_anything_is_labelled():
    with pytest.raises(UsageError, match="expected an importable module no_such_module"):
        code_of(recipe("no_such_module:build"))


def test_a_whole_daily_run_trains_judges_and_serves_it_and_a_changed_source_makes_a_new_run(
    first_run, small_landing, tmp_path, written
):
    written(TWO_TOWERS)
    root = copy_days(first_run, tmp_path / "root")
    own = write_recipe(tmp_path, network="somebodys_networks:build")
    first = daily(RUN_DAY, own, str(root), str(small_landing))
    checks = {check["name"]: check for check in first["verdict"]["checks"]}
    assert first["recorded"] is False
    assert checks["serving"]["passed"] is True  # by a process that can't import the module
    manifest = json.loads((root / "runs" / first["run_id"] / "manifest.json").read_text(encoding="utf-8"))
    assert "somebodys_networks:build@" in manifest["code"]
    assert first["metrics"]["challenger"]["auc"] > 0.55
    assert daily(RUN_DAY, own, str(root), str(small_landing))["recorded"] is True
    written(TWO_TOWERS.replace("0.5 *", "0.25 *"))
    changed = daily(RUN_DAY, own, str(root), str(small_landing))
    assert changed["recorded"] is False
    assert changed["run_id"] != first["run_id"]


def test_a_network_in_a_file_beside_the_recipe_is_trained_in_the_models_process_and_served_without_it(
    first_run, small_landing, tmp_path, monkeypatch
):
    here, there, root = tmp_path / "here", tmp_path / "there", copy_days(first_run, tmp_path / "root")
    here.mkdir()
    (here / "my_networks.py").write_text(TWO_TOWERS, encoding="utf-8")
    warm = write_recipe(here, network="my_networks.py:build")
    warm.write_text(warm.read_text(encoding="utf-8") + "\n[warm_start]\nenabled = true\n", encoding="utf-8")
    with monkeypatch.context() as environment:
        environment.setenv("CTR_RETRAIN_TRAINING_PROCESS", "own")
        environment.setenv("CTR_RETRAIN_DEVICE", "cpu")
        first = daily(RUN_DAY, warm, str(root), str(small_landing))
    assert {check["name"]: check["passed"] for check in first["verdict"]["checks"]}["serving"] is True
    assert first["metrics"]["challenger"]["auc"] > 0.55
    assert "class Scaled" in (root / "runs" / first["run_id"] / "report.html").read_text(encoding="utf-8")

    here.rename(there)  # recipe and file together: the same run
    moved = there / warm.name
    assert daily(RUN_DAY, moved, str(root), str(small_landing))["recorded"] is True

    store = LocalStore(root)
    deploy_challenger(store, first["run_id"], "override", "to start from it", datetime.now(UTC))
    next_run = plan_run(store, load_recipe(moved), NEXT_DAY, {}, FanOut("threads", 1))
    assert next_run.start.message.startswith(f"Warm start from champion {first['run_id']}")
    (there / "my_networks.py").write_text(TWO_TOWERS.replace("0.5 *", "0.25 *"), encoding="utf-8")
    changed = plan_run(store, load_recipe(moved), NEXT_DAY, {}, FanOut("threads", 1))
    assert changed.run_id != next_run.run_id
    assert "the source of its network was my_networks.py:build@" in changed.start.message

    (there / "my_networks.py").unlink()  # a model is made anew from its own recipe's copy
    source = open_source_model(store, first["run_id"])
    layers = [type(layer).__name__ for layer in rebuild_network(source.trainable, source.recipe, source.state).layers]
    assert "Scaled" in layers
