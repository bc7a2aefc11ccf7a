"""Log lines are fit to be read, whatever the values in them are."""

import io
import logging

import pytest

from ctr_retrain.tasks.execution.shown_logs import ShownRecord


@pytest.fixture
def logged():
    """A logger of records as `show_logs` makes them, and what it has written."""
    stream, logger = io.StringIO(), logging.Logger("it")  # noqa: LOG001 - no other test is to get its handler
    logger.addHandler(logging.StreamHandler(stream))
    logger.makeRecord = lambda name, level, file, line, message, args, info, *_: ShownRecord(
        name, level, file, line, message, args, info
    )
    return logger, stream


def test_value_in_a_log_line_neither_acts_nor_makes_a_line_of_its_own(logged):
    logger, stream = logged
    logger.warning("alert on %s:\n%s", "\x1b[2Jad\nERROR: forged", 3)
    assert stream.getvalue() == "alert on \\x1b[2Jad\\nERROR: forged:\n3\n"


def test_traceback_beside_a_log_line_is_shown_too(logged):
    logger, stream = logged
    try:
        int("\x1b[2J of https://user:SECRET@host")
    except ValueError:
        logger.exception("it failed")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["it failed", "Traceback (most recent call last):"]
    assert lines[-1].startswith("ValueError: invalid literal for int()")
    assert "://***@host" in lines[-1]
    assert "\x1b" not in stream.getvalue()
