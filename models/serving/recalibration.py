"""Recalibration: the level of a promoted model follows the newest mature labels, before it serves.

The network's level rests on the whole training window, and the calibration layer's on rows kept out of it. After the
verdict, labels of the validation days may say more: by how much the log-odds of each channel are off, beside what the
calibration slice says. To update the intercept alone, and to shrink the update, is what Steyerberg et al. 2004 advise
where labels are few (Statistics in Medicine 23, 2567).

Channel c on day d is off by u_d + w_c + e_d: a common level that walks at random from day to day, the channel's own
distance from it, and the day's chance. All are drawn towards 0 by their prior variances; those of the walk and of the
day's chance are the ones under which the days' positives are likeliest (a generalised linear mixed model by Laplace's
approximation, Breslow and Clayton 1993; the state-space form of its walk is the local level model, Harvey 1989). So no
count of positives, not even 0 or all, gives an infinite shift, and old days count less where the level is seen to move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.verdict_documents import Check, LevelShift
from ctr_retrain.models.serving.calibration import LOGIT_LIMIT, logit_losses, sigmoid

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.serving.calibration import Floats

# Standard deviations on the log-odds scale; docs/benchmarks.md has what they are chosen by.
LEVEL_SD = 0.1  # of the common level on the oldest day
CHANNEL_SD = 0.05  # of a channel's distance from it
WALK_SDS = (0.01, 0.03, 0.1)  # of the walk, in a day
DAY_SDS = (0.0, 0.03, 0.1)  # of a day's chance beyond that of its counts

LOGIT_STEP = 0.02  # rows whose logits are so near count as rows of their mean logit
NEWTON_STEPS = 50  # at most
LARGEST_STEP = 1.0  # of Newton's method, on the logit scale
TOLERANCE = 1e-8  # of a step
SURE = 2.5  # standard errors by which a level must be worse to be surely so: 1 night in 160 by chance


@dataclass(frozen=True, eq=False)
class MatureRows:
    """Rows that the model was not trained on, whose labels are final. Arrays (n,)."""

    logit: Floats  # of the judged model, calibrated
    label: npt.NDArray[Any]  # 0 or 1
    channel: npt.NDArray[Any]  # name; "" where there is one level for all
    day: npt.NDArray[np.int64]  # ordinal
    validates: npt.NDArray[np.bool_]  # True on the validation days, False in the calibration slice

    def where(self, chosen: npt.NDArray[np.bool_]) -> MatureRows:
        """Return the chosen rows."""
        return replace(self, **{name: values[chosen] for name, values in vars(self).items()})


def fit_level(rows: MatureRows, served_day: int) -> tuple[LevelShift, ...]:
    """Estimate the shift of each channel that has rows, for a day later than theirs, given as an ordinal.

    The standard error is the posterior one, of the level on that day: of few counts, and of days in between.
    """
    names, channel = _code_channels(rows.channel)
    cells = _count_cells(rows, channel, len(names))
    fits = [_fit(cells, _Spread(walk, day)) for walk, day in product(WALK_SDS, DAY_SDS)]
    shift, error = max(fits, key=lambda fit: fit.evidence).forecast(len(names), served_day)
    count, positives, predicted = (
        np.bincount(channel, weights, len(names)) for weights in (None, rows.label, sigmoid(rows.logit))
    )
    return tuple(
        LevelShift(
            channel=name,
            rows=int(count[place]),
            positives=int(positives[place]),
            predicted=float(predicted[place]),
            shift=float(shift[place]),
            standard_error=float(error[place]),
        )
        for place, name in enumerate(names)
    )


def shifted(logit: Floats, channel: npt.NDArray[Any], shifts: Sequence[LevelShift]) -> npt.NDArray[np.float64]:
    """Return calibrated logits (n,) moved by their channel's shift; by none where there is no such channel."""
    moved = np.asarray(logit, np.float64).copy()
    for own in shifts:
        moved += own.shift if not own.channel else own.shift * (channel == own.channel)
    return np.asarray(np.clip(moved, -LOGIT_LIMIT, LOGIT_LIMIT))


def shift_text(shifts: Sequence[LevelShift]) -> str:
    """Say by how much the odds of each channel moved, with one standard error, for a sentence."""
    return ", ".join(
        f"{own.channel or 'all channels'} {100 * np.expm1(own.shift):+.1f} % (± {100 * own.standard_error:.1f})"
        for own in shifts
    )


def check_level(rows: MatureRows, shifts: Sequence[LevelShift], served_day: int, gate: Gate) -> tuple[Check, Check]:
    """Check that no channel moved too far, and that held-out validation rows are not surely worse. Fails closed."""
    largest = max((abs(own.shift) for own in shifts), default=float("nan"))
    bound = gate.max_churn
    shift_check = Check(
        name="recalibration_shift",
        value=largest if np.isfinite(largest) else None,
        bound=bound,
        passed=bool(largest <= bound),
        message=(
            f"Recalibrated level: expected log-odds to move by {bound:g} at most in each channel, "
            f"received {largest:.3g}."
        ),
    )
    gains = _held_out_gains(rows, served_day)
    gain, error = (float(gains.mean()), float(gains.std() / len(gains) ** 0.5)) if len(gains) else (np.nan, np.nan)
    gain_check = Check(
        name="recalibration_held_out",
        value=gain if np.isfinite(gain) else None,
        bound=-SURE * error if np.isfinite(error) else None,
        passed=bool(gain >= -SURE * error),
        message=(
            f"Recalibrated level on {len(gains):,} validation rows that it was not fitted on: expected a log loss not "
            f"surely higher than as judged, received {-gain:+.2g} (± {error:.2g})."
        ),
    )
    return shift_check, gain_check


def _held_out_gains(rows: MatureRows, served_day: int) -> npt.NDArray[np.float64]:
    """Return by how much a level fitted on the other rows lowers the log loss of every second validation row, (n,).

    Once: were blocks held out in turn, a level that is right already would look surely worse, since each block's
    residual is what balances those of the others. Every second row: halves of a day differ by its hours.
    """
    held = np.zeros(len(rows.label), bool)
    held[np.flatnonzero(rows.validates)[1::2]] = True
    if not held.any() or held.all():
        return np.empty(0)
    judged = rows.where(held)
    moved = shifted(judged.logit, judged.channel, fit_level(rows.where(~held), served_day))
    return logit_losses(judged.logit, judged.label) - logit_losses(moved, judged.label)


@dataclass(frozen=True, eq=False)
class _Cells:
    """Counts of each channel and day that has rows."""

    channel: npt.NDArray[np.int64]  # (cells,), place in the order of names
    day: npt.NDArray[np.int64]  # (cells,), ordinal
    positives: Floats  # (cells,)
    counts: Floats  # (cells, bins), rows by their logit
    logits: Floats  # (cells, bins), their mean logit

    def moments(self, shift: Floats) -> tuple[Floats, Floats]:
        """Return Σp and Σp(1−p) of each cell at its shift, (cells,) each."""
        probability = sigmoid(self.logits + shift[:, None])
        mass = self.counts * probability
        return mass.sum(axis=1), (mass * (1 - probability)).sum(axis=1)

    def log_likelihood(self, shift: Floats) -> float:
        """Return what depends on the shifts, (cells,), in the log-likelihood of the labels."""
        return float(self.positives @ shift - (self.counts * np.logaddexp(0, self.logits + shift[:, None])).sum())


def _code_channels(channel: npt.NDArray[Any]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the different channels, and for each row which of them it has, (n,)."""
    # By comparison, since to sort as many names as there are impressions takes far longer.
    names: list[str] = []
    code = np.full(len(channel), -1)
    while (code < 0).any():
        names.append(channel[int((code < 0).argmax())])
        code[channel == names[-1]] = len(names) - 1
    order = np.argsort(names)
    return [str(names[place]) for place in order], np.argsort(order)[code]


def _count_cells(rows: MatureRows, channel: npt.NDArray[np.int64], channels: int) -> _Cells:
    """Count the rows of each channel and day by their logits, so that a fit costs alike for any number of rows."""
    logit = np.clip(rows.logit, -LOGIT_LIMIT, LOGIT_LIMIT)
    first, place = rows.day.min(), np.rint((logit + LOGIT_LIMIT) / LOGIT_STEP).astype(np.int64)
    days, bins = int(rows.day.max() - first) + 1, int(place.max()) + 1
    cell, shape = channel * days + (rows.day - first), (channels * days, bins)

    def added(weight: npt.NDArray[Any] | None) -> Floats:
        sums = np.bincount(cell * bins + place, weight, minlength=channels * days * bins)
        return sums.reshape(shape).astype(np.float64)

    counts, logits = added(None), added(logit)
    there, used = np.flatnonzero(counts.any(axis=1)), counts.any(axis=0)
    mean_logits = np.divide(logits, counts, out=np.zeros(shape), where=counts > 0)
    positives = np.bincount(cell, rows.label, minlength=channels * days).astype(np.float64)
    return _Cells(
        channel=there // days,
        day=first + there % days,
        positives=positives[there],
        counts=counts[there][:, used],
        logits=mean_logits[there][:, used],
    )


@dataclass(frozen=True)
class _Spread:
    """Prior standard deviations of the walk in a day, and of a day's chance."""

    walk_sd: float
    day_sd: float

    def covariance(self, cells: _Cells, channel: npt.NDArray[np.int64], day: npt.NDArray[np.int64]) -> Floats:
        """Return the covariance of the levels of given channels and days with those of the cells, (given, cells)."""
        since = np.minimum(day[:, None], cells.day[None, :]) - cells.day.min()
        same = channel[:, None] == cells.channel[None, :]
        chance = day[:, None] == cells.day[None, :]
        return np.asarray(
            LEVEL_SD**2 + self.walk_sd**2 * since + CHANNEL_SD**2 * same + self.day_sd**2 * chance, np.float64
        )


@dataclass(frozen=True, eq=False)
class _Fit:
    """The levels of the cells that are likeliest under a spread."""

    cells: _Cells
    spread: _Spread
    residual: Floats  # positives less those predicted at the levels found, (cells,)
    root_weight: Floats  # √Σp(1−p) there, (cells,)
    core: Floats  # identity + root_weight · covariance · root_weight, (cells, cells)
    evidence: float  # log of the labels' probability under the spread, but for a constant

    def forecast(self, channels: int, day: int) -> tuple[Floats, Floats]:
        """Return the level of each channel on a later day and its standard error, (channels,) each."""
        days = np.full(channels, day)
        across = self.spread.covariance(self.cells, np.arange(channels), days)
        weighted = across * self.root_weight
        explained = (weighted * np.linalg.solve(self.core, weighted.T).T).sum(axis=1)
        prior = LEVEL_SD**2 + CHANNEL_SD**2 + self.spread.walk_sd**2 * (day - self.cells.day.min())
        return across @ self.residual, np.sqrt(np.maximum(prior + self.spread.day_sd**2 - explained, 0.0))


def _fit(cells: _Cells, spread: _Spread) -> _Fit:
    """Find the mode of the levels' posterior by Newton's method (Rasmussen and Williams 2006, algorithm 3.1)."""
    covariance = spread.covariance(cells, cells.channel, cells.day)
    level = np.zeros(len(cells.positives))
    for _ in range(NEWTON_STEPS):
        predicted, weight = cells.moments(level)
        root, target = np.sqrt(weight), weight * level + cells.positives - predicted
        core = np.eye(len(level)) + root[:, None] * covariance * root
        step = covariance @ (target - root * np.linalg.solve(core, root * (covariance @ target))) - level
        step *= min(1.0, LARGEST_STEP / max(np.abs(step).max(), LARGEST_STEP))
        level = level + step
        if np.abs(step).max() < TOLERANCE:
            break
    predicted, weight = cells.moments(level)
    root, residual = np.sqrt(weight), cells.positives - predicted
    core = np.eye(len(level)) + root[:, None] * covariance * root
    evidence = cells.log_likelihood(level) - residual @ level / 2 - np.linalg.slogdet(core)[1] / 2
    return _Fit(cells, spread, residual, root, core, float(evidence))
