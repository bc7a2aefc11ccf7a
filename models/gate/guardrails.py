"""Guardrails: other kinds of outcomes on what each model would send, of which a challenger may bring only so many more.

A model that clicks are won with may win them by what annoys: more clicks, and more who unsubscribe. Such outcomes are
rare, so their evidence adds up over the nights of the ledger, and the test may be looked at each night (an e-process
on S = Σ (ours − bound · theirs) with the robust variance of the sum, `models/ledger/anytime.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.verdict_documents import Check, GuardedKind, GuardrailsPart
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.costs import decide
from ctr_retrain.models.judging.judged_rows import interval_part
from ctr_retrain.models.ledger.anytime import e_value
from ctr_retrain.models.number_format import fixed, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.verdict_documents import GuardMeasure
    from ctr_retrain.models.judging.cells import Cells
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.channel_section import Cost
    from ctr_retrain.models.recipe.gate_section import Gate

FEWEST = 30  # outcomes on what either model sends, below which nothing is said
PRIOR_NIGHTS = 14  # nights after which the evidence grows fastest: two weeks of what one night shows
MEASURES: tuple[GuardMeasure, ...] = ("outcomes", "head")


@dataclass(frozen=True, eq=False)
class KindOfRows:
    """One guarded kind on the validation rows, (rows,) each."""

    outcome: NDArray[np.float64]  # 1 or 0; NaN where it isn't known, or isn't final yet
    head: NDArray[np.float64] | None = None  # probability by the heads of the models that have one


def guarded_sums(
    rows: JudgedRows, kinds: Mapping[str, KindOfRows], costs: Mapping[str, Cost]
) -> dict[str, NDArray[np.float64]]:
    """Return what each model's sends bring of each kind, by name of the sum: (rows,), of all channels in `costs`.

    Empty without a champion, whom alone a bound is relative to.
    """
    if rows.champion is None:
        return {}
    ours, theirs = (decide(p, rows.channel, costs, rows.value) for p in (rows.challenger, rows.champion))
    found: dict[str, NDArray[np.float64]] = {}
    for kind, own in kinds.items():
        for measure, value in (("outcomes", np.nan_to_num(own.outcome)), ("head", own.head)):
            if value is not None:
                names = _names(kind, measure)
                found |= {names[0]: np.where(ours, value, 0.0), names[1]: np.where(theirs, value, 0.0)}
    return found


def judge_guardrails(nights: Sequence[Cells], gate: Gate) -> tuple[GuardrailsPart, list[Check]]:
    """Judge each guarded kind by the cells of all nights, tonight's last, whose sums are of `guarded_sums`."""
    told = {name for cells in nights for name in cells.names}
    wanted = [(kind, measure) for kind in gate.guardrails for measure in MEASURES if _names(kind, measure)[0] in told]
    error = gate.false_slice_vetoes_per_year / max(len(wanted), 1)
    judged = tuple(_judge(nights, kind, measure, gate, error) for kind, measure in wanted)
    checks = [_check(kind, [one for one in judged if one.kind == kind], gate) for kind in gate.guardrails]
    message = " ".join(check.message for check in checks)
    return GuardrailsPart(kinds=judged, message=message), checks


def _names(kind: str, measure: str) -> tuple[str, str]:
    """Name the sums of what the challenger's and the champion's sends bring of a kind."""
    return f"guard_{kind}_{measure}_ours", f"guard_{kind}_{measure}_theirs"


def _judge(nights: Sequence[Cells], kind: str, measure: GuardMeasure, gate: Gate, error: float) -> GuardedKind:
    """Judge one kind by one measure."""
    names, most = _names(kind, measure), 1 + gate.guardrails[kind]
    having = [cells for cells in nights if names[0] in cells.names]
    ours, theirs = (np.concatenate([_sum(cells, name) for cells in having]) for name in names)
    rows = np.concatenate([_sum(cells, "rows") for cells in having])
    users, campaigns = (np.concatenate([getattr(one, key) for one in having]) for key in ("user_bucket", "campaign"))
    clusters = Clusters(users, campaigns, rows)
    beyond = ours - most * theirs
    first = having[0]
    start = _variance(
        Clusters.of_cells(first), _sum(first, names[0]) - most * _sum(first, names[1]), _sum(first, "rows")
    )
    evidence = e_value(float(beyond.sum()), _variance(clusters, beyond, rows), PRIOR_NIGHTS * start)
    return GuardedKind(
        kind=kind,
        measure=measure,
        nights=len(having),
        ours=float(ours.sum()),
        theirs=float(theirs.sum()),
        ratio=interval_part(clusters.ratio(ours, theirs, gate.confidence, positive=True)),
        evidence=evidence,
        exceeded=max(ours.sum(), theirs.sum()) >= FEWEST and evidence >= 1 / error,
    )


def _variance(clusters: Clusters, value: NDArray[Any], rows: NDArray[Any]) -> float:
    """Return the robust variance of a sum over cells; 0 where nothing is known of it."""
    spread = clusters.spread(value, rows)
    return float((spread.variance or 0.0) * rows.sum() ** 2)


def _sum(cells: Cells, name: str) -> NDArray[np.float64]:
    """Return one sum of each cell: (cells,)."""
    return np.asarray(cells.sums[:, cells.names.index(name)])


def _check(kind: str, judged: Sequence[GuardedKind], gate: Gate) -> Check:
    """Return the gate's check of a kind: by outcomes, by a head, or by both, neither of which may surely exceed it."""
    most = 1 + gate.guardrails[kind]
    outcomes = next((one for one in judged if one.measure == "outcomes"), None)
    # A head that errs on what only one model sends can't veto against the outcomes that were seen there.
    contrary = outcomes is not None and outcomes.theirs >= FEWEST and outcomes.ours <= outcomes.theirs
    failed = [one for one in judged if one.exceeded and not (one.measure == "head" and contrary)]
    enough = [one for one in judged if max(one.ours, one.theirs) >= FEWEST]
    telling = next(iter([*failed, *enough, *judged]), None)
    within = all(one.ratio.high is not None and one.ratio.high <= most for one in enough)
    return Check(
        name=f"guardrail.{kind}",
        value=telling.ratio.value if telling else None,
        bound=most,
        passed=not failed,
        settled=bool(failed) or (bool(enough) and within),
        message=_words(kind, telling, gate, few=not enough),
        kind="harm",
    )


def _words(kind: str, telling: GuardedKind | None, gate: Gate, *, few: bool) -> str:
    """Say what is expected of a kind, and what the sends of both models brought."""
    text = f"Outcomes '{kind}' on what each model would send: expected at most {percent(gate.guardrails[kind])} more"
    if telling is None or few:
        return f"{text} than the champion's, received too few to tell: {FEWEST} are needed."
    by = "" if telling.measure == "outcomes" else ", as the models' heads predict them"
    over = f" over {telling.nights} nights" if telling.nights > 1 else ""
    ratio = telling.ratio
    return (
        f"{text} than the champion's, received {fixed(ratio.value, 2)} times as many ({fixed(ratio.low, 2)} to "
        f"{fixed(ratio.high, 2)}): {fixed(telling.ours, 0)} against {fixed(telling.theirs, 0)}{over}{by}."
    )
