"""Reports whose attempts at a receiver follow one another at once: what a pause is for, no receiver here has."""

import pytest

from ctr_retrain.tasks.alerts import delivery


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(delivery, "SECONDS_BETWEEN_ATTEMPTS", 0.01)
