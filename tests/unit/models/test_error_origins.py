"""Rules of what counts as a fault of the machine, which no data or model could be blamed for, and what as a stop."""

import errno
import os

import duckdb
import pytest

from ctr_retrain.models.error_origins import is_machine_fault, is_stop
from ctr_retrain.models.errors import DataRejectedError, StorageError, UsageError


def os_error(number):
    return OSError(number, os.strerror(number))


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        *(os_error(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE)),
        PermissionError(errno.EACCES, "Permission denied"),
        MemoryError(),
        duckdb.OutOfMemoryException("could not allocate block"),
        StorageError("a file differs from its manifest"),
        caused(StorageError("model x: expected a SavedModel"), os_error(errno.ENOSPC)),
        caused(RuntimeError("could not write"), caused(ValueError("again"), os_error(errno.ENOMEM))),
        RuntimeError("writing failed; No space left on device"),
        RuntimeError("Failed to synchronize: CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered"),
        ImportError("library.so: failed to map segment from shared object"),  # of the loader, for want of memory
    ],
    ids=repr,
)
def test_a_fault_of_the_machine_is_one_wherever_it_stands_in_the_chain_of_errors(error):
    assert is_machine_fault(error)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file"),
        ValueError("unknown layer"),
        ZeroDivisionError(),
        UsageError("model x: expected another"),
        DataRejectedError("nothing landed"),
        caused(StorageError("model x: expected a SavedModel"), ValueError("unknown layer")),
        caused(StorageError("model x: expected a SavedModel"), FileNotFoundError(errno.ENOENT, "No such file")),
    ],
    ids=repr,
)
def test_what_a_model_or_data_may_be_blamed_for_is_none(error):
    assert not is_machine_fault(error)


def test_errors_that_are_each_others_cause_are_looked_at_once():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert not is_machine_fault(first)


def fail_after(first):
    try:
        raise first
    finally:
        raise RuntimeError("connection is busy")


@pytest.mark.parametrize(
    ("first", "stopped"), [(KeyboardInterrupt(), True), (ZeroDivisionError(), False), (SystemExit(), False)], ids=repr
)
def test_what_a_stop_comes_upon_on_its_way_out_is_that_stop(first, stopped):
    assert is_stop(first) == stopped
    with pytest.raises(RuntimeError) as raised:
        fail_after(first)
    assert is_stop(raised.value) == stopped
    assert is_stop(caused(StorageError("the machine: received an error"), raised.value)) == stopped
