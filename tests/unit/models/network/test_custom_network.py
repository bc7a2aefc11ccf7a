"""Rules of finding a recipe's own network in the text of its file: made a module once, apart from others, no path."""

import traceback

import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.network.custom_network import find_network, source_digest
from ctr_retrain.models.recipe.training_section import Training

BUILD = """
from dataclasses import dataclass

@dataclass
class Scale:
    by: "float"

SCALE = Scale(2.0)

def build(embedded, numeric, training):
    return SCALE.by * numeric
"""


def training(source=BUILD, network="my_networks.py:build"):
    return Training(network=network, network_source=source)


def test_the_function_is_found_in_the_text_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_network(training())(None, 3.0, None) == 6.0


def test_the_same_text_is_run_once_and_another_is_another_module_of_the_same_name():
    assert find_network(training()) is find_network(training())
    halved = find_network(training(BUILD.replace("2.0", "0.5")))
    assert halved(None, 3.0, None) == 1.5
    assert find_network(training())(None, 3.0, None) == 6.0


def test_the_texts_digest_is_the_networks_wherever_the_file_was():
    assert source_digest(training()) == source_digest(training(network="networks/there.py:build"))
    assert source_digest(training()) != source_digest(training(BUILD + "\n"))


def test_a_traceback_through_the_function_shows_its_line():
    with pytest.raises(TypeError) as caught:
        find_network(training())(None, None, None)
    assert "return SCALE.by * numeric" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def build(:", r"expected that my_networks\.py can be imported, received SyntaxError.* Correct the file\."),
        ("1 / 0", r"expected that my_networks\.py can be imported, received ZeroDivisionError"),
        (
            "import my_layers",
            r"expected .*, received ModuleNotFoundError.*stands alone: it may import installed packages, and no file",
        ),
        ("other = 3", r"expected a function build in my_networks\.py, received none of that name"),
        (None, r"expected a recipe that carries the file's text, received one without.*load_recipe"),
    ],
    ids=["syntax", "raises", "a file beside it", "no function", "no text"],
)
def test_what_is_wrong_with_a_file_is_said(source, words):
    for _ in range(2):  # a module that failed is not kept half-made
        with pytest.raises(UsageError, match=r"network 'my_networks\.py:build': " + words):
            find_network(training(source))
