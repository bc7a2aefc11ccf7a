"""Open Bandit's sample, extracted from its wheel: 60,000 real recommendations of a fashion shop over a week of 2019.

Saito et al. 2021, "Open Bandit Dataset and Pipeline". The wheel holds a CSV file for each logging policy (random,
bts) and campaign (all, men, women); the campaigns have affinity columns of different number. Policy and campaign are
known only from the path, so they become columns here, and item numbers, which each campaign counts anew, get their
campaign's name before them.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from datetime import date
from pathlib import Path
from typing import IO

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.errors import StorageError, UsageError

POLICIES = ("random", "bts")
CAMPAIGNS = ("all", "men", "women")
_SAMPLE = {(p, c): f"obp/dataset/obd/{p}/{c}/{c}.csv" for p in POLICIES for c in CAMPAIGNS}  # paths in the wheel
BANDIT_DAYS = day_range(date(2019, 11, 24), date(2019, 11, 30))


def extract_sample(wheel: Path, folder: Path) -> list[Path]:
    """Write POLICY-CAMPAIGN.csv.gz for each of the six files.

    Raises UsageError where the wheel holds no such data, StorageError where the folder can't be written.
    """
    if reason := _why_unusable(wheel):
        msg = f"{wheel}: expected the wheel of obp 0.4.1 with Open Bandit's sample, received: {reason}"
        raise UsageError(msg)
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            for (policy, campaign), name in _SAMPLE.items():
                with archive.open(name) as source:
                    files.append(_add_columns(source, policy, campaign, folder / f"{policy}-{campaign}.csv.gz"))
    except OSError as error:
        msg = f"{folder}: expected a writable folder with room, received: {error}. Mend the disk, then extract again."
        raise StorageError(msg) from error
    return files


def _why_unusable(wheel: Path) -> str:
    """Say what is wrong with the wheel; empty where it can be used."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            missing = set(_SAMPLE.values()) - set(archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        return str(error)
    return f"one without {', '.join(sorted(missing))}" if missing else ""


def _add_columns(source: IO[bytes], policy: str, campaign: str, target: Path) -> Path:
    """Copy a CSV file, with policy and campaign as columns and the campaign's name before its item numbers."""
    rows = csv.DictReader(io.TextIOWrapper(source, encoding="utf-8", newline=""))
    names = [name for name in rows.fieldnames or [] if name]  # the first column is pandas' index, without a name
    with gzip.open(target, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["policy", "campaign", *names])
        writer.writeheader()
        for row in rows:
            values = {name: row[name] for name in names}
            writer.writerow(
                {**values, "policy": policy, "campaign": campaign, "item_id": f"{campaign}-{row['item_id']}"}
            )
    return target
