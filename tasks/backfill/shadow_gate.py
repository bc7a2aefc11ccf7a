"""The gate's own rules on past nights, with a champion and a ledger of its own.

It judges, promotes, remembers and rolls back by the very functions of a night, in a root of its own in a temporary
folder: refs, cells, and of each model its manifest alone. What was in service before the first night, and what the
ledger knew by then, is where it begins.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ctr_retrain.models.documents.ref_documents import ChampionRef, Tenure
from ctr_retrain.models.ledger.ledger_documents import LedgerRef
from ctr_retrain.models.serving.output_names import head_column
from ctr_retrain.tasks.deploy.withdraw_harmful import harm_to_undo
from ctr_retrain.tasks.evaluate.judge_challenger import judge_challenger
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.ledger.read_ledger import load_ledger
from ctr_retrain.tasks.ledger.write_ledger import enter_night
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions, roll_back, take_over
from ctr_retrain.tasks.store.layout import CELLS_FILE, SCORES_FILE
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.protocol import load_manifest, open_verified, replace_ref

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

    from ctr_retrain.models.documents.verdict_documents import Question, Verdict
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.backfill.past_nights import PastNight
    from ctr_retrain.tasks.store.protocol import Store

CHAMPION = "champion"
EARLIER_STAGES = ("serving", "known_before")  # whose checks a run made once, whoever its opponent is


class ShadowGate:
    """The gate on past nights."""

    def __init__(self, store: Store, recipe: Recipe, folder: Path) -> None:
        """Begin without a champion; folder: for its own root. The real root is only read."""
        self._store, self._recipe = store, recipe
        self._root = LocalStore(folder)

    def begin_with_service(self, day: date) -> None:
        """Begin with what had been in service before a run of a day, and with what the ledger knew by then."""
        champions = read_champions(self._store)
        served = tuple(t for t in champions.tenures if t.run_day < day and t.version not in champions.barred)
        for version in dict.fromkeys(tenure.version for tenure in served):
            published = load_manifest(self._store, layout.model_object(version), PublishedModel)
            if published is not None:  # of an old one that is gone the gate says so
                self._publish(version, published)
        history = ChampionRef(current=served[-1].version, history=served, barred=())
        replace_ref(self._root, layout.CHAMPION_REF, history, None)
        ledger = load_ledger(self._store)
        nights = tuple(night for night in ledger.nights if night.day < day)
        for night in nights:
            self._copy_cells(night.run_id)
        changes = tuple(change for change in ledger.changes if change.opened < day)
        replace_ref(self._root, layout.LEDGER_REF, LedgerRef(nights=nights, changes=changes), None)

    def begin_with(self, night: PastNight) -> None:
        """Begin with a night's model as the first that ever served."""
        self._take_over(night, "first", None, night.document.verdict)

    def roles(self, day: date) -> dict[str, str]:
        """Return the versions that a run of a day is judged against: the champion, and earlier ones by role."""
        champion, earlier = self._opponents(day)
        return _versions(champion, earlier)

    def decide(self, night: PastNight, scored: pa.Table) -> str:
        """Judge a night's challenger and do what follows; returns the version in service afterwards.

        scored: the night's validation rows, with a column of probabilities of the challenger and of each version that
        it is judged against, as far as it could be scored.
        """
        champion, earlier = self._opponents(night.day)
        plan = replace(night.plan, champion=champion, earlier=earlier)
        with self._root.writing(layout.run_object(plan.run_id), plan.inputs.to_json()) as folder:
            versions = {"challenger": plan.run_id, **_versions(champion, earlier)}
            pq.write_table(_as_judged(scored, versions, self._recipe), folder / SCORES_FILE)
            known = [check for check in night.document.verdict.checks if check.name in EARLIER_STAGES]
            verdict = judge_challenger(Run(self._store, self._recipe, plan, folder), known, self._root)
            (folder / SCORES_FILE).unlink()  # of all that the night wrote only its cells are read again
        if verdict.decision == "promote":
            self._take_over(night, verdict.evidence.question if verdict.evidence else None, champion.version, verdict)
        enter_night(self._root, plan.run_id)
        if harm := harm_to_undo(self._root, self._recipe, verdict.evidence, champion.version):
            roll_back(self._root, harm, _end_of(night.day))
        current = read_champions(self._root).current
        assert current is not None
        return current.version

    def _opponents(self, day: date) -> tuple[Tenure, dict[str, Tenure]]:
        """Return the champion that a run of a day meets, and earlier ones by role."""
        champions = read_champions(self._root)
        champion = champions.before(day)
        assert champion is not None
        return champion, champions.earlier_than(champion, day, self._recipe.gate.anchor_days)

    def _take_over(self, night: PastNight, question: Question | None, met: str | None, verdict: Verdict) -> None:
        """Put a night's challenger into service, as a promotion of its day."""
        document = night.document
        self._publish(
            document.run_id,
            PublishedModel(
                data_through=document.data_through,
                recipe_digest=document.recipe_digest,
                training_digest=document.training_digest,
            ),
        )
        tenure = Tenure(
            version=document.run_id,
            run_day=night.day,
            data_through=document.data_through,
            action="promote",
            reason=verdict.reason,
            at=_end_of(night.day).isoformat(),
            question=question,
        )
        take_over(self._root, tenure, met)

    def _publish(self, version: str, model: PublishedModel) -> None:
        """Publish a model's manifest, by which champions are told apart."""
        with self._root.writing(layout.model_object(version), model.to_json()):
            pass

    def _copy_cells(self, run_id: str) -> None:
        """Copy what a night of the real ledger added, where it is still there."""
        path = layout.ledger_object(run_id)
        folder = open_verified(self._store, path, CELLS_FILE)
        if folder is not None:
            with self._root.writing(path, {"run_id": run_id}) as copied:
                shutil.copyfile(folder / CELLS_FILE, copied / CELLS_FILE)


def _versions(champion: Tenure, earlier: Mapping[str, Tenure]) -> dict[str, str]:
    """Return the versions of champions by their roles."""
    return {CHAMPION: champion.version, **{role: tenure.version for role, tenure in earlier.items()}}


def _as_judged(scored: pa.Table, versions: Mapping[str, str], recipe: Recipe) -> pa.Table:
    """Return the scores under the names by which a night's own have them, by each model's role."""
    judged = scored
    for role, version in versions.items():
        columns = {role: version}
        columns |= {head_column(role, h.kind): head_column(version, h.kind) for h in recipe.training.heads}
        for name, source in columns.items():
            if source in scored.column_names:
                judged = judged.append_column(name, scored[source])
    return judged


def _end_of(day: date) -> datetime:
    """Return a time after a run's day, the same in each replay."""
    return datetime.combine(day, time.max, UTC)
