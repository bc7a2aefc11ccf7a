"""The worth of a comparison's network over simple models of the same windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from ctr_retrain.models.documents.comparison_documents import (
    CRITERIA,
    SIMPLER_NAMES,
    ComparedSimply,
    Criterion,
    SimplerName,
)
from ctr_retrain.models.documents.evaluation_documents import METRICS
from ctr_retrain.models.judging.cells import Interval
from ctr_retrain.models.trials.trial import Trial
from ctr_retrain.models.yardstick.worth import is_worth_it, worth_words
from ctr_retrain.tasks.compare.plan_comparison import FitResult

UNITS: dict[Criterion, str] = {"cost_per_1000": "per 1,000", "log_loss": "nats an impression"}


def compare_simply(
    trial: Trial, network: str, results: Sequence[FitResult], failures: Mapping[str, str], criterion: Criterion
) -> tuple[ComparedSimply, ...]:
    """Describe each simple model beside a network, which is a strategy's name; the sentence goes by the criterion."""
    return tuple(
        _failed(name, failures[name])
        if name in failures
        else _compared(trial, network, name, [one.seconds for one in results if one.name == name], criterion)
        for name in SIMPLER_NAMES
    )


def _failed(name: SimplerName, why: str) -> ComparedSimply:
    message = f"The networks could not be measured against {SIMPLER_NAMES[name]}. {why}"
    nothing = dict.fromkeys(("network", "metrics", "seconds", "delta", "worth_it"))
    return ComparedSimply(name=name, failure=why, message=message, **nothing)


def _compared(
    trial: Trial, network: str, name: SimplerName, seconds: Sequence[float], criterion: Criterion
) -> ComparedSimply:
    deltas = {each: trial.difference(each, network, name) for each in CRITERIA}
    delta, digits = deltas[criterion], METRICS[criterion].digits
    worth = Interval(-delta.value, -delta.high, -delta.low)
    subject = f"The network ({network})"
    return ComparedSimply(
        name=name,
        network=network,
        failure=None,
        metrics=trial.metrics(name),
        seconds=mean(seconds),
        delta={each: found.to_part() for each, found in deltas.items()},
        worth_it=is_worth_it(worth.low),
        message=worth_words(SIMPLER_NAMES[name], worth, UNITS[criterion], digits, subject),
    )
