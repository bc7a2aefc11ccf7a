"""Rules of the systemd unit: systemd reads it without a complaint, and what it starts is a command that there is."""

import configparser
import shutil
import subprocess

import pytest

from ctr_retrain.flows.cli import COMMANDS
from ctr_retrain.flows.settings import Settings
from tests.support.repository import REPOSITORY

UNIT = REPOSITORY / "infra" / "systemd" / "ctr-retrain.service"
ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("known", [True, False])
def test_systemd_reads_the_unit_and_would_tell_a_directive_that_it_does_not_know(tmp_path, known):
    text = UNIT.read_text(encoding="utf-8").replace("/opt/ctr-retrain/bin/ctr-retrain", "/bin/true")
    unit = tmp_path / UNIT.name
    unit.write_text(text if known else text.replace("Restart=always", "Restrat=always"), encoding="utf-8")
    told = subprocess.run([ANALYZE, "verify", str(unit)], capture_output=True, text=True, check=False)
    complaints = [line for line in told.stderr.splitlines() if UNIT.name in line]
    assert bool(complaints) is not known, complaints


def test_the_unit_starts_a_command_that_there_is_with_settings_that_there_are():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(UNIT, encoding="utf-8")
    assert unit["Service"]["ExecStart"].split()[1] in COMMANDS
    assert unit["Service"]["Restart"] == "always"
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    named = {word.strip(",") for word in UNIT.read_text(encoding="utf-8").split() if word.startswith("CTR_RETRAIN_")}
    assert named
    assert named <= {f"CTR_RETRAIN_{name.upper()}" for name in Settings.model_fields}
