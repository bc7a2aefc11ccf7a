"""Rules of models that are trained in the flow's own process."""

from ctr_retrain.tasks.execution import model_process
from ctr_retrain.tasks.execution.model_process import Compute, models_on


def test_tensorflow_is_imported_for_the_first_call_and_not_for_a_run_that_trains_nothing(tmp_path, monkeypatch):
    imported = []
    monkeypatch.setattr(model_process, "import_tensorflow", lambda: imported.append("TensorFlow"))
    with models_on(Compute("cpu", "flow", tmp_path)) as models:
        assert imported == []
        assert models.call(lambda _progress_of, number: number + len(imported), 1) == 2
