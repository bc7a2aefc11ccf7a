"""Disks of a test's own, mounted in a namespace where the kernel lets us."""

import contextlib
import subprocess

import pytest

NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-ec")


def on_small_disk(folder, size):
    """What to put before a command so that a folder is a disk of such a size to it, as in 2m, and to nobody else."""
    return (*NAMESPACE, f'mount -t tmpfs -o size={size} none "$0"; exec "$@"', str(folder))


def may_mount():
    with contextlib.suppress(OSError):
        return (
            subprocess.run([*NAMESPACE, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode == 0
        )
    return False


mounts = pytest.mark.skipif(not may_mount(), reason="this kernel lets nobody mount in a namespace")
