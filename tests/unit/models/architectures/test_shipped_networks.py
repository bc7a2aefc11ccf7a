"""Rules of the registry of networks: a new one is found wherever networks are, and nothing else names one."""

import ast
import inspect

import pytest

from ctr_retrain.models.architectures.shipped_networks import NETWORKS, Network
from ctr_retrain.models.recipe.training_section import Training
from tests.docs.recipe_reference import write_reference
from tests.support.documented import documented_module
from tests.support.repository import REPOSITORY, nodes_of, text_of

FILE = REPOSITORY / "models" / "architectures" / "shipped_networks.py"


# These call scikit-learn's logistic regression by its name, which is no network.
YARDSTICK = (
    REPOSITORY / "models" / "yardstick" / "simple_models.py",
    REPOSITORY / "models" / "documents" / "comparison_documents.py",
)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_a_function_of_its_name_that_says_what_it_does(name):
    network = NETWORKS[name]
    assert network.logit.__name__ == name, f"call the function of network {name!r} like it, so that a search finds it"
    assert network.summary, f"network {name!r}: write a docstring; docs/recipe.md shows its first line"
    assert list(inspect.signature(network.logit).parameters) == ["embedded", "numeric", "parts"], name


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {Training().network}))  # the default is a key of the recipe
def test_nothing_outside_the_registry_names_a_network(name):
    places = [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        for floor in ("models", "tasks", "flows")
        for path in sorted((REPOSITORY / floor).rglob("*.py"))
        if path not in (FILE, *YARDSTICK) and name in text_of(path)  # parsing all takes seconds
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and node.value == name
    ]
    assert not places, f"{places} name the network {name!r}: ask its entry in NETWORKS instead"


def test_a_registered_network_is_found_by_recipe_error_and_reference(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="expected logistic_regression, deepfm, dcn_v2 or"):
        Training(network="wide_and_deep")
    function = documented_module("wide_and_deep.py", tmp_path).wide_and_deep
    monkeypatch.setitem(NETWORKS, "wide_and_deep", Network(function))
    assert Training(network="wide_and_deep").network == "wide_and_deep"
    with pytest.raises(ValueError, match="expected logistic_regression, deepfm, dcn_v2, wide_and_deep or"):
        Training(network="lstm")
    assert "| `wide_and_deep` | Add linear terms to a perceptron over the embeddings" in write_reference()
