"""The champion's ref: the model in service, the one before a past day, the rules of a takeover, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from ctr_retrain.models.documents.ref_documents import ChampionRef, Tenure
from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.ledger.anchor import choose_anchor, predecessor_of
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, TypedRef, load_ref, replace_ref


@dataclass(frozen=True)
class Champions:
    """The champion's ref as read."""

    tenures: tuple[Tenure, ...]  # oldest first
    barred: tuple[str, ...]  # versions that were rolled back and may not come back by the gate
    ref: TypedRef[ChampionRef] | None  # None where no model was ever promoted

    @property
    def current(self) -> Tenure | None:
        """Return the tenure of the model in service now."""
        return self.tenures[-1] if self.tenures else None

    def before(self, day: date) -> Tenure | None:
        """Return the champion for a run of `day`: the last one with an earlier run day, barred versions left out.

        So a replay of the day meets the same champion, whatever later days promoted since.
        """
        earlier = [t for t in self.tenures if t.run_day < day and t.version not in self.barred]
        return earlier[-1] if earlier else None

    def of_day(self, day: date) -> tuple[Tenure, ...]:
        """Return the promotions of runs of that very day, oldest first, barred versions left out."""
        return tuple(t for t in self.tenures if t.run_day == day and t.version not in self.barred)

    def opponents(self, day: date) -> tuple[Tenure | None, ...]:
        """Return whom runs of `day` may have met, in time's order; the last is whom a new one meets.

        That is the champion before the day, unless one of this very day is in service: who wants its place has to meet
        it. A promotion of the day that was overtaken by a later day's is met by no new run.
        """
        own, before = self.of_day(day), self.before(day)
        return (before, *own) if own and self.current == own[-1] else (*own, before)

    def earlier_than(self, champion: Tenure, day: date, anchor_days: int) -> dict[str, Tenure]:
        """Return the anchor that refreshes of a champion are held to, and the champion's predecessor, by role.

        Roles are left out where they are the champion's own. Versions that were rolled back are nobody's measure.
        """
        trusted = [t for t in self.tenures if t.version not in self.barred]
        found = {"anchor": choose_anchor(trusted, champion, day, anchor_days)}
        if previous := predecessor_of(trusted, champion):
            found["predecessor"] = previous
        return {role: tenure for role, tenure in found.items() if tenure.version != champion.version}

    def settles(self, candidate: Tenure) -> bool:
        """Return True if the candidate has had what it asks for already, so that nothing is to be done."""
        if self.current and self.current.version == candidate.version:
            return True
        served = any(t.version == candidate.version and t.action == "promote" for t in self.tenures)
        return candidate.action == "promote" and served and candidate.version not in self.barred

    def refuses(self, candidate: Tenure, met: str | None) -> str | None:
        """Say why a version may not take over by the gate; None where it may. The champion never goes back in time.

        met: the version that it was judged against; None where there was none.
        """
        if candidate.version in self.barred:
            return f"{candidate.version} was rolled back and stays barred"
        if self.current and candidate.age < self.current.age:
            return (
                f"the champion {self.current.version} is newer: expected data through {self.current.data_through} and "
                f"run day {self.current.run_day} or later, received {candidate.data_through} and {candidate.run_day}"
            )
        if self.current and self.current.version != met:
            against = f"against {met}" if met else "when there was no champion"
            return (
                f"it was judged {against}, and {self.current.version} is in service: run `daily --force` for its day, "
                "which judges against that one, or `promote` it by hand"
            )
        return None


def read_champions(store: Store) -> Champions:
    """Read the champion's ref; without tenures where no model was ever promoted."""
    ref = load_ref(store, layout.CHAMPION_REF, ChampionRef)
    return Champions(ref.content.history, ref.content.barred, ref) if ref else Champions((), (), None)


def take_over(store: Store, candidate: Tenure, met: str | None) -> str | None:
    """Put a version into service, or say why it may not serve.

    met: the version that it was judged against; by the gate nothing takes the place of a champion that it never met.
    Nothing is to be done for the version in service, nor for one that the gate had promoted and a newer one followed.
    Raises BusyError where another run changed the champion meanwhile.
    """
    champions = read_champions(store)
    if champions.settles(candidate):
        return None
    if candidate.action == "promote" and (refusal := champions.refuses(candidate, met)):
        return refusal
    barred = tuple(version for version in champions.barred if version != candidate.version)
    _swap(store, champions, (*champions.tenures, candidate), barred)
    return None


def roll_back(
    store: Store, reason: str, now: datetime, require_servable: Callable[[Store, str], None] | None = None
) -> tuple[Tenure, Tenure]:
    """Bring the version before the champion back and bar the champion; returns (rolled back, in service again).

    require_servable: raises where a version can't serve, before anything is changed. Raises UsageError where there is
    nothing to go back to.
    """
    champions = read_champions(store)
    current = champions.current
    earlier = [
        t for t in champions.tenures if current and t.version != current.version and t.version not in champions.barred
    ]
    if current is None or not earlier:
        msg = (
            f"rollback in {store.root}: expected an earlier champion to go back to, received none. Promote one by hand."
        )
        raise UsageError(msg)
    previous = earlier[-1]
    if require_servable:
        require_servable(store, previous.version)
    back = {"action": "rollback", "reason": reason, "at": now.isoformat()}
    again = Tenure(**{**dict(previous), **back})
    _swap(store, champions, (*champions.tenures, again), (*champions.barred, current.version))
    return current, again


def _swap(store: Store, champions: Champions, tenures: tuple[Tenure, ...], barred: tuple[str, ...]) -> None:
    """Write the ref anew; raises BusyError where it changed since it was read."""
    content = ChampionRef(current=tenures[-1].version, history=tenures, barred=barred)
    replace_ref(store, layout.CHAMPION_REF, content, champions.ref)
