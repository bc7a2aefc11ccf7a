"""Rules of the lock files: they hold on any machine."""

import re

import pytest

from tests.support.repository import REPOSITORY

LOCKS = ("requirements.lock", "requirements-gpu.lock")


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_of_the_lock_is_pinned_with_hashes_and_none_with_an_address(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    requirements = [block for block in re.split(r"\n(?=\S)", text) if block.strip()]
    assert len(requirements) > 100
    for block in requirements:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_the_gpu_lock_adds_cuda_and_changes_nothing_else():
    pins = re.compile(r"^([\w.-]+==\S+)", re.MULTILINE)
    plain, gpu = (set(pins.findall((REPOSITORY / name).read_text(encoding="utf-8"))) for name in LOCKS)
    assert plain < gpu
    assert all(package.startswith("nvidia-") for package in gpu - plain)
