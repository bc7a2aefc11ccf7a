"""The first change that CONTRIBUTING works through is one that works."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.docs.blocks import blocks_of
from tests.support.repository import REPOSITORY


def test_the_worked_change_meets_its_test_and_is_not_made_yet():
    test, function = [block for block in blocks_of(REPOSITORY / "CONTRIBUTING.md") if block.language == "python"]
    names = {"np": np, "pytest": pytest, "NDArray": NDArray, "Any": Any}
    exec(test.content, names)  # noqa: S102 - the page's own example
    with pytest.raises(NameError):
        names["test_the_brier_score_is_the_mean_squared_difference"]()
    exec(function.content, names)  # noqa: S102
    names["test_the_brier_score_is_the_mean_squared_difference"]()
    metrics = (REPOSITORY / "models" / "judging" / "metrics.py").read_text(encoding="utf-8")
    assert "brier_score" not in metrics, "the example has been made real: choose another one for CONTRIBUTING"
