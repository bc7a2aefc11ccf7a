"""Rules of the learning curve: a loss that still falls is told from one that has settled."""

import numpy as np
import pytest

from ctr_retrain.models.documents.training_documents import LinearSolution, TrainingResult, TrainingSteps
from ctr_retrain.models.judging.learning_curve import SMOOTHING, cut_short, fall_per_step


def result(losses, batch_rows=100):
    """A training with a loss a step, as its callback notes it."""
    history, smoothed = [], losses[0]
    for step, loss in enumerate(losses, 1):
        smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
        history.append((step * batch_rows, smoothed))
    whole = {"rows": len(losses) * batch_rows, "seconds": 1, "rows_per_second": 1, "device": "cpu", "replicas": 1}
    more = {"precision": "float32", "epochs": 1, "best_epoch": 1, "stopping_losses": (), "resumed_at": 0}
    rates = {"learning_rate": 0.01, "embedding_learning_rate": 0.1}
    steps = TrainingSteps(count=len(losses), batch_rows=batch_rows, **rates)
    return TrainingResult(**whole, **more, history=tuple(history), steps=steps)


def noise(count, seed=1):
    return 0.02 * np.random.default_rng(seed).normal(size=count)


def test_a_loss_that_falls_to_the_end_is_said_with_its_fall():
    found = cut_short(result(0.8 - 0.002 * np.arange(200) + noise(200) / 10))
    assert found == "training was cut short: after 200 steps the loss still fell by 0.399 % a step"


@pytest.mark.parametrize("seed", range(20))
def test_a_loss_that_has_settled_is_not_accused(seed):
    steps = np.arange(600)
    assert cut_short(result(0.3 + 0.4 * np.exp(-steps / 30) + noise(600, seed))) == ""


def test_the_fall_is_that_of_the_losses_before_smoothing():
    fall, error = fall_per_step(result(np.linspace(1.0, 0.5, 101)).history, 100)
    assert fall == pytest.approx(0.005 / 0.625, rel=0.02)
    assert error < 1e-6


@pytest.mark.parametrize("steps", [1, 3, 99])
def test_a_handful_of_steps_never_counts_as_converged(steps):
    assert cut_short(result(np.full(steps, 0.5))) == (
        f"training was cut short: {steps} steps are too few to converge (100 at least)"
    )


def test_a_document_of_before_says_nothing():
    assert cut_short(result([0.5]).model_copy(update={"steps": None})) == ""


@pytest.mark.parametrize(("settled", "said"), [(True, ""), (False, "the loss still fell after 50 steps of Newton's")])
def test_what_was_solved_has_settled_however_few_steps_went_before(settled, said):
    solution = LinearSolution(steps=50, settled=settled, seconds=1, penalties={"user": 3.0})
    found = cut_short(result(np.linspace(1.0, 0.5, 11)).model_copy(update={"solution": solution}))
    assert said in found
    assert bool(found) != settled
