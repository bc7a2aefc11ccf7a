"""Find features that may be known only after the decision, by what each tells of the label by itself.

Four signs, of which the first three hold a run until the recipe drops the feature or says `known_before = true`:

figures      its own AUC is far above all others': nothing that is known before tells so much alone. Where its name
             says the same, a smaller distance is enough.
filled       it is filled only on positives, or only on negatives, or nearly so
difference   its distance to another number, date or the impression's time tells what neither tells: a time that is
             known afterwards, beside the one that was planned
name         its name sounds so: a hint, shown and never a reason to hold
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from ctr_retrain.models.documents.evaluation_documents import FeatureByItself
from ctr_retrain.models.feature_kinds.arrow_columns import column_of
from ctr_retrain.models.leaks.feature_values import codes_of_feature, number_codes, numbers_of_feature, time_numbers
from ctr_retrain.models.leaks.own_figures import measure_values
from ctr_retrain.models.leaks.telling_names import telling_words
from ctr_retrain.models.number_format import percent
from ctr_retrain.models.recipe.head_section import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from ctr_retrain.models.documents.evaluation_documents import LeakSign, OwnFigures
    from ctr_retrain.models.feature_kinds.feature import Feature

MIN_POSITIVES = 20  # of a channel's label: below, nothing is said of it
# Lines between what is known before and what is not, on bounds three standard errors away; docs/concepts.md says on
# which logs they were drawn. Distances of AUCs are those of two normal scores' means, in deviations.
AUC_LINE, EXPLAINED_LINE, DISTANCE_LINE = 0.85, 0.45, 0.75
DIFFERENCE_EXPLAINED_LINE = 0.4  # of a difference, which has to tell more than either of its two columns
NAMED_AUC_LINE, NAMED_DISTANCE_LINE = 0.7, 0.5  # where the name says the same
FILLED_LINE, FILLED_SHARE_LINE = 50.0, 0.1  # odds ratio, and difference of the shares that are filled
ALIKE = 0.5  # correlation of two numbers whose difference is looked at: a planned time and the one that came of it
TIME = "ts"  # the impression's own
LABEL = "label"  # the channel's own label, beside those of further heads


@dataclass(frozen=True, eq=False)
class LabelledSample:
    """Rows of the training window with their labels. Each array is (rows,)."""

    columns: pa.Table  # that the features read, and ts
    channel: NDArray[Any]  # name
    labels: Mapping[str, NDArray[np.uint8]]  # LABEL and further kinds of outcomes: 0, 1, or UNKNOWN for no row
    fold: NDArray[np.bool_]  # True on every second stretch of time


def find_leaks(sample: LabelledSample, features: Sequence[Feature]) -> tuple[FeatureByItself, ...]:
    """Return each feature with what it tells by itself, and whether that holds the run."""
    found: dict[str, list[FeatureByItself]] = {feature.name: [] for feature in features}
    for channel in np.unique(sample.channel):
        for kind, label in sample.labels.items():
            known = (sample.channel == channel) & (label != UNKNOWN)
            if min(np.count_nonzero(known & (label == y)) for y in (0, 1)) < MIN_POSITIVES:
                continue
            rows = _Rows(sample.columns.filter(known), label[known], sample.fold[known], (str(channel), kind))
            for one in _look(rows, features):
                found[one.name].append(one)
    return tuple(_most_telling(feature, found[feature.name]) for feature in features)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of one channel whose label of one kind is known."""

    columns: pa.Table
    label: NDArray[np.uint8]
    fold: NDArray[np.bool_]
    where: tuple[str, str]  # names of channel and label


def _most_telling(feature: Feature, found: list[FeatureByItself]) -> FeatureByItself:
    """Return what holds of a feature on the channel and label of which it tells most."""
    if not found:
        words = _name_words(feature)
        signs: tuple[LeakSign, ...] = ("name",) if words else ()
        return FeatureByItself(
            name=feature.name, figures=None, signs=signs, confirmed=feature.known_before, message=words
        )
    return max(found, key=lambda one: (one.held, len(one.signs), one.figures.auc if one.figures else 0))


def _look(rows: _Rows, features: Sequence[Feature]) -> Iterator[FeatureByItself]:
    """Yield each feature that can be measured, with the signs that it bears on these rows."""
    own = {}
    for feature in features:
        if feature.holds != "time":
            codes = codes_of_feature(feature, rows.columns, rows.label)
            if figures := measure_values(codes, rows.label, rows.fold, rows.where):
                own[feature.name] = figures
    measured = [feature for feature in features if feature.name in own]
    apart = _telling_differences(rows, measured, own)
    for feature in measured:
        yield _judge(feature, own, {f.name: f for f in measured}, apart.get(feature.name, ""))


def _judge(
    feature: Feature, own: Mapping[str, OwnFigures], features: Mapping[str, Feature], difference: str
) -> FeatureByItself:
    """Look for each sign on a feature; a confirmed one is described and holds nothing."""
    figures, name = own[feature.name], _name_words(feature)
    found: dict[LeakSign, str] = {
        "figures": _figures_words(figures, _rivals(feature, own, features), named=bool(name)),
        "filled": _filled_words(figures),
        "difference": difference,
        "name": name,
    }
    signs = tuple(sign for sign, words in found.items() if words)
    return FeatureByItself(
        name=feature.name,
        figures=figures,
        signs=signs,
        confirmed=feature.known_before,
        held=not feature.known_before and any(sign != "name" for sign in signs),
        message="; ".join(found[sign] for sign in signs),
    )


def _rivals(feature: Feature, own: Mapping[str, OwnFigures], features: Mapping[str, Feature]) -> tuple[str, float]:
    """Return name and AUC of the best of the other features, leaving out those that may be leaks themselves."""
    named = bool(_name_words(feature))
    honest = {
        name: max(0.5, figures.auc)
        for name, figures in own.items()
        if name != feature.name and not (features[name].known_before or _surely_telling(figures))
        if not _filled_words(figures) and not (named and _name_words(features[name]))
    }
    best = max(honest, key=lambda name: honest[name], default="")
    return best, honest.get(best, 0.5)


def _surely_telling(figures: OwnFigures, explained_line: float = EXPLAINED_LINE) -> bool:
    return figures.auc_low >= AUC_LINE and figures.explained_low >= explained_line


def _figures_words(figures: OwnFigures, rival: tuple[str, float], *, named: bool) -> str:
    """Say that the feature tells far more than all others; nothing where it doesn't."""
    distance = _deviations(figures.auc_low) - _deviations(rival[1])
    sure = _surely_telling(figures) and distance >= DISTANCE_LINE
    likely = named and figures.auc_low >= NAMED_AUC_LINE and distance >= NAMED_DISTANCE_LINE
    if not (sure or likely):
        return ""
    others = (
        f"the best other feature's, {rival[0]!r}, is {rival[1]:.3f}" if rival[0] else "there is no other to compare"
    )
    return (
        f"by itself it has an AUC of {figures.auc:.3f} (at least {figures.auc_low:.3f}) and explains "
        f"{percent(figures.explained)} of the label's entropy, {others}{_where(figures)}"
    )


def _filled_words(figures: OwnFigures) -> str:
    """Say that it is filled otherwise on positives than on negatives; nothing where it isn't, or hardly."""
    apart = abs(figures.filled_positives - figures.filled_negatives)
    if figures.filled_odds_low < FILLED_LINE or apart < FILLED_SHARE_LINE:
        return ""
    return (
        f"it is filled on {percent(figures.filled_positives)} of the positives and "
        f"{percent(figures.filled_negatives)} of the negatives{_where(figures)}"
    )


def name_warning(name: str, words: str) -> str:
    """Say that nothing but a feature's name makes it look known only afterwards, and what to do; words: on its name."""
    return (
        f"Feature {name!r} may be known only after the decision: {words}, though no figure says so. If it is, remove "
        "it from the recipe; if not, known_before = true ends this warning."
    )


def leak_warning(feature: FeatureByItself) -> str:
    """Say why a feature would hold a run, and what to do."""
    return (
        f"Feature {feature.name!r} seems to be known only after the decision: {feature.message}. A run would be held. "
        "If it is, remove it from the recipe; if not, say so there: known_before = true."
    )


def names_to_confirm(features: Iterable[Feature]) -> dict[str, str]:
    """Return a warning for each unconfirmed feature whose name sounds as if it were known only afterwards."""
    named = {feature.name: _name_words(feature) for feature in features if not feature.known_before}
    return {name: name_warning(name, words) for name, words in named.items() if words}


def _name_words(feature: Feature) -> str:
    """Quote the words of its name, or of its columns', that sound like what is known only afterwards."""
    names = dict.fromkeys((feature.name, *feature.sources)) if feature.holds != "time" else ()
    words = list(dict.fromkeys(word for name in names for word in telling_words(name)))
    return f"its name has {' and '.join(map(repr, words))} in it" if words else ""


def _telling_differences(rows: _Rows, features: Sequence[Feature], own: Mapping[str, OwnFigures]) -> dict[str, str]:
    """Return for each feature that is too near to another column what their difference tells."""
    numbers = {feature.name: numbers_of_feature(feature, rows.columns) for feature in features}
    columns = {name: values for name, values in numbers.items() if values is not None}
    columns[TIME] = time_numbers(column_of(rows.columns, TIME), TIME)
    known = {feature.name for feature in features if feature.known_before} | {TIME}
    found: dict[str, tuple[float, str]] = {}
    for first, second in combinations(columns, 2):
        if {first, second} <= known or not _alike(columns[first], columns[second]):
            continue
        codes = number_codes(columns[first] - columns[second])
        figures = measure_values(lambda _fit, codes=codes: codes, rows.label, rows.fold, rows.where)  # type: ignore[misc]
        alone = max((own[name].auc for name in (first, second) if name in own), default=0.5)
        if (
            figures is None
            or not _surely_telling(figures, DIFFERENCE_EXPLAINED_LINE)
            or _deviations(figures.auc_low) - _deviations(alone) < DISTANCE_LINE
        ):
            continue
        # Of the two the later one tells more by itself, since it holds what came of the earlier.
        later = max({first, second} - known, key=lambda name: own[name].auc)
        other = second if later == first else first
        words = (
            f"its difference to {other!r} has an AUC of {figures.auc:.3f} (at least {figures.auc_low:.3f}) and "
            f"explains {percent(figures.explained)} of the label's entropy{_where(figures)}"
        )
        found[later] = max(found.get(later, (0.0, "")), (figures.auc, words))
    return {name: words for name, (_, words) in found.items()}


def _alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Tell whether two numbers rise together, where both are there."""
    both = np.isfinite(first) & np.isfinite(second)
    if np.count_nonzero(both) < MIN_POSITIVES:
        return False
    one, other = first[both], second[both]
    return bool(one.std() and other.std() and np.corrcoef(one, other)[0, 1] >= ALIKE)


def _deviations(auc: float) -> float:
    """Return the distance of the means of two normal scores with this AUC, in deviations (Green and Swets 1966)."""
    return float(np.sqrt(2) * ndtri(np.clip(auc, 0.5, 1 - 1e-9)))


def _where(figures: OwnFigures) -> str:
    """Say which rows the figures are of."""
    kind = "" if figures.label == LABEL else f" of kind {figures.label!r}"
    return f" (channel {figures.channel!r}, {figures.positives:,} positives{kind})"
