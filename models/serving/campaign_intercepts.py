"""Shrunk intercepts of channels and campaigns, fitted to a trained network's logits and served before calibration.

A network leaves the level of single campaigns off, by the chance of its steps and by what its campaigns share. What
the rows still say is looked up afterwards, around the level of all rows, for channels first and then for campaigns:

    minimise over β   Σ w · log loss(label, logit + β_group)  +  Σ β_group² / (2 · prior_sd²)

w falls by half in HALF_LIFE_DAYS, so that a long window's first months don't outvote its last weeks.

They are kept only if they would have paid ahead of time: each day of the calibration slice is answered with what rows
of the days before say, and the log loss of all of these has to be lower than without. Nothing that days alone explain,
such as a storm at one airport, is taken for a level so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.serving.calibration import logit_losses, sigmoid

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.integer[Any]]

HALF_LIFE_DAYS = 14  # of a row's weight; docs/training.md has what was tried
WIDE_SD = 10.0  # of the level of all rows, and of a channel's: hardly any prior
NEWTON_STEPS = 30
LONGEST_STEP = 1.0  # of an intercept, where Newton's own would leave the logit scale
TOLERANCE = 1e-5  # of a step


@dataclass(frozen=True, eq=False)
class LevelRows:
    """Rows by which levels are fitted. Arrays of one value a row."""

    logit: Floats  # (n,), the network's
    label: npt.NDArray[np.uint8]  # (n,), 0 or 1
    weight: Floats  # (n,)
    day: Ints  # (n,)
    groups: Ints  # (n, fields), the row's group in each field
    sizes: tuple[int, ...]  # (fields,), how many groups there are
    prior_sds: tuple[float, ...]  # (fields,), of their intercepts

    def where(self, chosen: npt.NDArray[np.bool_]) -> LevelRows:
        """Return the chosen rows."""
        rows = {name: getattr(self, name)[chosen] for name in ("logit", "label", "weight", "day", "groups")}
        return replace(self, **rows)

    def with_added(self, intercepts: Intercepts) -> Floats:
        """Return the logits with intercepts added, (n,)."""
        logit = self.logit
        for own, group in zip(intercepts, self.groups.T, strict=True):
            logit = logit + own[group]
        return logit


Intercepts = tuple["Floats", ...]  # of each field, (groups,); 0 for a group without rows


def recency_weights(day: Ints) -> Floats:
    """Return what rows weigh by their days, (n,) each: 1 on the newest."""
    return np.asarray(2.0 ** ((day - day.max()) / HALF_LIFE_DAYS))


def fit_intercepts(rows: LevelRows) -> Intercepts:
    """Return the likeliest intercepts of each field's groups around those of the fields before it."""
    return _fitted(rows)[1]


def gain_ahead(rows: LevelRows, kept_out: npt.NDArray[np.bool_]) -> float | None:
    """Return by how much intercepts of the days before lower the mean log loss of rows that training never saw.

    kept_out: (n,), True for such rows. Both sides have the level of all rows of the days before. None where no such row
    has a day before it.
    """
    gains = []
    for day in np.unique(rows.day[kept_out]):
        before, judged = rows.day < day, rows.where(kept_out & (rows.day == day))
        if before.any():
            level, intercepts = _fitted(rows.where(before))
            without, with_them = (
                logit_losses(level + logit, judged.label) for logit in (judged.logit, judged.with_added(intercepts))
            )
            gains.append(without - with_them)
    return float(np.concatenate(gains).mean()) if gains else None


def _fitted(rows: LevelRows) -> tuple[float, Intercepts]:
    """Return the level of all rows, and the intercepts around it."""
    everyone = np.zeros(len(rows.logit), np.intp)
    (level,) = _likeliest(rows, rows.logit, everyone, 1, WIDE_SD)
    logit, found = rows.logit + level, []
    for group, size, prior_sd in zip(rows.groups.T, rows.sizes, rows.prior_sds, strict=True):
        own = _likeliest(rows, logit, group, size, prior_sd)
        logit = logit + own[group]
        found.append(own)
    return float(level), tuple(found)


def _likeliest(rows: LevelRows, logit: Floats, group: Ints, size: int, prior_sd: float) -> Floats:
    """Return the likeliest intercept of each group under a normal prior, (size,), by Newton's method."""
    found, precision = np.zeros(size), 1 / prior_sd**2
    for _ in range(NEWTON_STEPS):
        p = sigmoid(logit + found[group])
        surplus = np.bincount(group, rows.weight * (rows.label - p), size) - precision * found
        curvature = np.bincount(group, rows.weight * p * (1 - p), size) + precision
        step = np.clip(surplus / curvature, -LONGEST_STEP, LONGEST_STEP)
        found += step
        if np.abs(step).max() < TOLERANCE:
            break
    return found
