"""Rules of resuming: training that was killed ends with the weights of training that was not."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.models.training.training_state import TrainingState
from ctr_retrain.tasks.train.checkpoints import FolderCheckpoints, checkpoints_of, sweep_checkpoints
from tests.support.repository import REPOSITORY
from tests.support.toy_training import toy, trained

EPOCHS = {"epochs": 3, "patience": 3}
KILLED_AFTER = 9000  # rows, of 3 epochs of 6,000: in the middle of the second epoch
ROWS = 6000


def weights_after(folder, *, progress=None):
    """Three epochs with a checkpoint wherever one may be, each as the recipe's seed has it."""
    rows, _ = toy(ROWS)
    kept_out, _ = toy(1000, seed=2)
    with checkpoints_of(folder, "key") as checkpoints:
        checkpoints._seconds_between = checkpoints._times_its_cost = 0
        network, result = trained(rows, kept_out=kept_out, checkpoints=checkpoints, progress=progress, **EPOCHS)
    return network.get_weights(), result


def train_until_killed(folder):
    """For a process of its own: it kills itself once KILLED_AFTER rows are trained on."""

    def kill_at(done, _total):
        if done >= KILLED_AFTER:
            os.kill(os.getpid(), signal.SIGKILL)

    weights_after(Path(folder), progress=kill_at)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What a process that was killed in the middle left behind."""
    folder = tmp_path_factory.mktemp("killed")
    program = f"from {__name__} import *; train_until_killed({str(folder)!r})"
    finished = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False)
    assert finished.returncode == -signal.SIGKILL
    return folder


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return weights_after(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def left(killed, tmp_path):
    """A copy of it, to do with as one likes."""
    return shutil.copytree(killed, tmp_path / "left")


@pytest.fixture(scope="module")
def resumed(killed, tmp_path_factory):
    """Training that went on from there: its weights, its result, the progress that it told, and its folder."""
    left, seen = shutil.copytree(killed, tmp_path_factory.mktemp("resumed") / "left"), []
    weights, result = weights_after(left, progress=lambda done, total: seen.append((done, total)))
    return SimpleNamespace(weights=weights, result=result, seen=seen, folder=left)


def test_training_killed_in_the_middle_ends_with_the_very_weights_of_training_that_was_not(resumed, uninterrupted):
    assert all(np.array_equal(a, b) for a, b in zip(resumed.weights, uninterrupted[0], strict=True))
    assert 0 < KILLED_AFTER - resumed.result.resumed_at <= 8 * 250  # at most one execution was made anew
    assert resumed.seen[0] == (resumed.result.resumed_at, 3 * ROWS)
    assert resumed.seen[-1] == (3 * ROWS, 3 * ROWS)


def test_resumed_training_reports_the_whole_history_and_every_epochs_loss(resumed, uninterrupted):
    result = resumed.result
    assert result.history == uninterrupted[1].history
    assert result.stopping_losses == uninterrupted[1].stopping_losses
    assert (result.epochs, result.best_epoch) == (uninterrupted[1].epochs, uninterrupted[1].best_epoch)


def test_a_checkpoint_goes_once_its_training_is_over(killed, resumed):
    assert list(killed.glob("key/*/state.json"))
    assert not list(resumed.folder.iterdir())


def test_a_damaged_checkpoint_is_passed_over_and_training_starts_anew(left, uninterrupted):
    damaged = next(left.glob("key/*/variables-0000.npy"))
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    weights, result = weights_after(left)
    assert result.resumed_at == 0
    assert all(np.array_equal(a, b) for a, b in zip(weights, uninterrupted[0], strict=True))


def state(number):
    return TrainingState(epoch=number, variables=(np.arange(4.0),), best=(np.ones((2, 3), np.float32),))


def test_a_state_comes_back_as_it_was_saved(tmp_path):
    saved = TrainingState(1, 7, ((250, 0.5),), (0.25,), (np.arange(4), np.float32([[1]])), (np.ones(2),))
    FolderCheckpoints(tmp_path).save(saved)
    loaded = FolderCheckpoints(tmp_path).load()
    assert (loaded.epoch, loaded.batch, loaded.history) == (1, 7, ((250, 0.5),))
    assert loaded.stopping_losses == (0.25,)
    for before, after in zip(saved.variables + saved.best, loaded.variables + loaded.best, strict=True):
        assert np.array_equal(before, after)
        assert before.dtype == after.dtype


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path):
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save(state(1))
    half = tmp_path / "aside"
    half.mkdir()
    (half / "variables-0000.npy").write_bytes(b"half")
    assert FolderCheckpoints(tmp_path).load().epoch == 1
    checkpoints.save(state(2))
    assert checkpoints.load().epoch == 2
    assert [path.name for path in tmp_path.iterdir()] == ["000002"]


def test_a_kill_between_two_checkpoints_leaves_both_and_the_newer_counts(tmp_path):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        FolderCheckpoints(tmp_path / str(number)).save(state(number))
    shutil.move(tmp_path / "2" / "000001", tmp_path / "1" / "000002")
    assert FolderCheckpoints(tmp_path / "1").load().epoch == 2


@pytest.mark.parametrize("content", ['{"epoch": 2', '{"epoch": 2, "batch": 0}', "[]"])
def test_a_state_that_lacks_a_part_is_passed_over_for_the_one_before(tmp_path, caplog, content):
    FolderCheckpoints(tmp_path).save(state(1))
    shutil.copytree(tmp_path / "000001", tmp_path / "000002")
    (tmp_path / "000002" / "state.json").write_text(content)
    assert FolderCheckpoints(tmp_path).load().epoch == 1
    assert "It is passed over." in caplog.text


def test_a_disk_without_room_stops_no_training(tmp_path, caplog):
    (tmp_path / "aside").write_text("in the way")
    FolderCheckpoints(tmp_path).save(state(1))
    assert "expected room to write" in caplog.text
    assert FolderCheckpoints(tmp_path).load() is None


def test_checkpoints_are_due_by_time_and_never_cost_more_than_a_twentieth(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("ctr_retrain.tasks.train.checkpoints.time.monotonic", lambda: now[0])
    checkpoints = FolderCheckpoints(tmp_path, seconds_between=60)
    assert not checkpoints.due()
    now[0] = 60
    assert checkpoints.due()
    checkpoints._cost, checkpoints._last = 30, 60
    now[0] = 60 + 599
    assert not checkpoints.due()
    now[0] = 60 + 600
    assert checkpoints.due()


def test_two_processes_that_make_the_same_fit_do_not_share_its_checkpoints(tmp_path):
    with checkpoints_of(tmp_path, "key") as first, checkpoints_of(tmp_path, "key") as second:
        assert first is not None
        assert second is None


def test_another_fit_has_checkpoints_of_its_own(tmp_path):
    (tmp_path / "killed").mkdir()
    FolderCheckpoints(tmp_path / "killed").save(state(1))
    with checkpoints_of(tmp_path, "other") as checkpoints:
        assert checkpoints.load() is None
    assert [path.name for path in tmp_path.iterdir()] == ["killed"]


def test_training_that_diverged_leaves_no_checkpoint_since_it_would_again(tmp_path):
    def diverge():
        with checkpoints_of(tmp_path, "key") as checkpoints:
            checkpoints.save(state(1))
            raise TrainingDivergedError("no number")

    with pytest.raises(TrainingDivergedError):
        diverge()
    assert not list(tmp_path.iterdir())


def test_old_checkpoints_that_nobody_holds_are_swept(tmp_path):
    with checkpoints_of(tmp_path, "held"):
        for name, days in (("old", 4), ("young", 2)):
            (tmp_path / name).mkdir()
            FolderCheckpoints(tmp_path / name).save(state(1))
            for path in (*(tmp_path / name).iterdir(), tmp_path / name):
                os.utime(path, (time.time() - days * 86_400,) * 2)
        assert sweep_checkpoints(tmp_path, 3 * 86_400, dry_run=True) == [tmp_path / "old"]
        assert sweep_checkpoints(tmp_path, 3 * 86_400) == [tmp_path / "old"]
        assert sweep_checkpoints(tmp_path, 0) == [tmp_path / "young"]
