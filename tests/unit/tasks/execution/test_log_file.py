"""Rules of the log file: what a night says and what failed stands there, and no fault of it costs anything."""

import logging
from datetime import UTC, datetime

import pytest

from ctr_retrain.tasks.execution.shown_logs import MONTHS, OURS, log_file, logged_to_file, note_traceback


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CTR_RETRAIN_LOG_FOLDER", str(tmp_path / "log"))
    return tmp_path / "log"


def raised(words):
    with pytest.raises(ZeroDivisionError) as found:
        raise ZeroDivisionError(words)
    return found.value


def test_what_our_modules_say_stands_in_the_months_file_and_other_loggers_dont(folder):
    level = logging.getLogger(OURS).level
    with logged_to_file():
        logging.getLogger("ctr_retrain.tasks.nights").info("a stage is done")
        logging.getLogger("ctr_retrain.tasks.nights").debug("too much")
        logging.getLogger("boto3").error("not ours")
    logging.getLogger("ctr_retrain.tasks.nights").warning("too late")
    (line,) = log_file().read_text(encoding="utf-8").splitlines()
    assert line.endswith("INFO a stage is done")
    assert logging.getLogger(OURS).level == level


def test_a_traceback_is_added_with_what_was_being_done_and_nothing_in_it_acts_on_a_terminal(folder):
    assert note_traceback(raised("first")) == log_file()
    assert note_traceback(raised("second \x1b[2J")) == log_file()
    text = log_file().read_text(encoding="utf-8")
    assert text.count("TRACEBACK") == text.count("in raised") == 2
    assert "first" in text
    assert "\x1b" not in text


def test_an_error_that_a_flow_and_its_command_both_tell_has_one_traceback(folder):
    error = raised("first")
    assert note_traceback(error) == note_traceback(error) == log_file()
    assert log_file().read_text(encoding="utf-8").count("TRACEBACK") == 1


def test_a_folder_that_cannot_be_written_costs_no_run_and_is_told(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CTR_RETRAIN_LOG_FOLDER", str(tmp_path / "file"))
    assert note_traceback(raised("first")) is None
    with logged_to_file():
        pass
    assert "can't be written" in caplog.text


def test_warnings_are_shown_as_before_where_nobody_set_up_logging(folder, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with logged_to_file():
        logging.getLogger("ctr_retrain.x").warning("mind this")
        logging.getLogger("ctr_retrain.x").info("a stage")
    assert capsys.readouterr().err == "mind this\n"


def test_files_of_months_that_are_long_past_go(folder):
    folder.mkdir()
    months = [f"ctr-retrain-20{year}-{month:02}.log" for year in (24, 25) for month in range(1, 13)]
    for name in months:
        (folder / name).touch()
    (folder / "notes.txt").touch()
    note_traceback(raised("first"))
    left = sorted(file.name for file in folder.glob("*.log"))
    assert left == [*months[-(MONTHS - 1) :], log_file().name]
    assert (folder / "notes.txt").exists()


def test_each_month_has_a_file_of_its_own(folder):
    assert log_file(datetime(2026, 3, 31, tzinfo=UTC)).name == "ctr-retrain-2026-03.log"
